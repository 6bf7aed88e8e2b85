"""The weekly training: challengers, their test, and the promotion of the best."""
