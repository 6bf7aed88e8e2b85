"""The parts that a laptop runs for itself: PostgreSQL, the pseudonym key, and the files that configure Spark."""
