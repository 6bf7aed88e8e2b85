"""Run the steps on a small log, so that the JVM can archive the classes that they load.

    spark-submit --driver-java-options -XX:ArchiveClassesAtExit=FILE pipeline/jobs/classes.py

Runs clean, sessions and sequences for some generated users, on tables of a catalog in a temporary folder. It neither
reads nor writes the tables of the installation. See `pipeline/local/spark_config.py`.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipeline.demo.plan import DemoPlan
from pipeline.demo.write import write_demo_log
from pipeline.errors import exit_with_message
from pipeline.landing.arrival import arrival_days
from pipeline.landing.staging import stage_files
from pipeline.landing.zone import LandingZone
from pipeline.quality import gates
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.clean import clean, validate
from pipeline.transforms.device_stitching import device_owners, owned
from pipeline.transforms.sequences import sequences
from pipeline.transforms.sessions import Rules, sessionize, sessions_of
from pipeline.warehouse import run_log
from pipeline.warehouse.tables import create_tables, table

PLAN = DemoPlan(users=20, days=7)  # of which one day is enough
CATALOG = "scratch"


def main() -> None:
    gates.load_in_background()
    with TemporaryDirectory(prefix="throughline-classes-") as folder:
        run_steps(Path(folder))


def run_steps(folder: Path) -> None:
    """Clean a generated log, build sessions and sequences, and write each to its table in `folder`."""
    spark = SparkSession.builder.appName("classes").getOrCreate()
    catalog = f"spark.sql.catalog.{CATALOG}"
    for key, value in (("", "org.apache.iceberg.spark.SparkCatalog"), (".type", "hadoop"), (".warehouse", folder)):
        spark.conf.set(f"{catalog}{key}", str(value))
    spark.catalog.setCurrentCatalog(CATALOG)
    create_tables(spark)

    settings, source = load_settings(), load_source(source_file("demo"))
    write_demo_log(folder / "log", PLAN)
    first_day = next((folder / "log").glob(f"events-{PLAN.first_day}*"))
    staged = stage_files([first_day], LandingZone(folder / "landing"), source.name, source.reader, folder / "staging")
    lines = spark.read.parquet(*[str(file.lines_file) for file in staged])
    lines = arrival_days(lines.withColumn("source", F.lit(source.name)), source)
    validated = validate(lines, source, b"a key of no home", settings).persist()
    cleaned = clean(validated, spark.table(table("events")), PLAN.first_day, settings)
    for name, made in (("events", cleaned.events), ("rejects", cleaned.rejects)):
        made.select(spark.table(table(name)).columns).writeTo(table(name)).overwrite(F.lit(True))

    rules, events = Rules.of({source.name: source}), spark.table(table("events"))
    owners = device_owners(spark.table(table("device_users")), {})
    sessionized = sessionize(owned(events, owners, F.lit(PLAN.first_day)), rules)
    sessions = sessions_of(sessionized, rules, F.lit(PLAN.first_day)).localCheckpoint()
    sessions.select(spark.table(table("sessions")).columns).writeTo(table("sessions")).overwrite(F.lit(True))
    made = sequences(events, owners, [PLAN.first_day], rules, settings.sequence_length)
    made.select(spark.table(table("sequences")).columns).writeTo(table("sequences")).overwrite(F.lit(True))
    gates.check(events.where("bot_class = 'human'"), "events")
    run_log.newest_cleaned_day(spark.table(table("runs")))


if __name__ == "__main__":
    with exit_with_message():
        main()
