"""What a laptop runs for itself: PostgreSQL, Airflow, and the files that configure Spark."""
