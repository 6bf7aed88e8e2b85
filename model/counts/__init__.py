"""`counts-1`, the built-in model: decayed own counts and popularity, made into probabilities. To be beaten."""
