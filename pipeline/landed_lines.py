"""Read landed lines into Spark."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.clean_plan import CleanPlan
from pipeline.landing import LandingZone

SCHEMA = "file string, line long, text string, header string"
DAY_IN_PATH = r"/(\d{4}-\d{2}-\d{2})/[^/]*$"


def landed_lines(spark: SparkSession, zone: LandingZone, plan: CleanPlan) -> DataFrame:
    """Return one row per line of the planned days: `source`, `arrival_day`, `file`, `line`, `text`, `header`."""
    lines = spark.createDataFrame([], f"source string, arrival_day date, {SCHEMA}")
    for source in sorted({day.source for day in plan.landed}):
        folders = [str(zone.day_folder(source, day.day)) for day in plan.landed if day.source == source and day.lines]
        if not folders:
            continue
        read = spark.read.schema(SCHEMA).option("pathGlobFilter", "*.parquet").parquet(*folders)
        day = F.to_date(F.regexp_extract(F.col("_metadata.file_path"), DAY_IN_PATH, 1))
        lines = lines.unionByName(read.withColumns({"source": F.lit(source), "arrival_day": day}))
    return lines
