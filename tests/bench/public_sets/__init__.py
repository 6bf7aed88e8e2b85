"""Public data sets: their readers, their tasks, and the evaluation of the baselines on them."""
