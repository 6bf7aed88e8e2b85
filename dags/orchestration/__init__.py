"""What the DAG files share. Nothing here imports Spark, torch or Great Expectations: Airflow parses it all the time."""
