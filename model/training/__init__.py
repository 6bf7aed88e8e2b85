"""The weekly training: a challenger, its judges, and what becomes of it."""
