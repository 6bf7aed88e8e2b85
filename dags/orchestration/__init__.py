"""What the DAG files share. Airflow parses them often, so nothing here imports Spark, torch or Great Expectations."""
