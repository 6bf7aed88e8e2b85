"""Create missing tables and columns. This is the first Spark start of an installation, which also fetches the jars.

spark-submit pipeline/jobs/tables.py
"""

from pyspark.sql import SparkSession

from pipeline.errors import exit_with_message
from pipeline.warehouse.tables import create_tables


def main() -> None:
    create_tables(SparkSession.builder.appName("tables").getOrCreate())


if __name__ == "__main__":
    with exit_with_message():
        main()
