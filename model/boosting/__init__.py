"""boosting-1: gradient boosting over the decayed counts of each user and tag."""
