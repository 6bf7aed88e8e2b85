"""Build the sequence of every user with new events, as of each day of the run.

    python -m pipeline.jobs sequences --day 2026-01-31 [--run-id ID]

Reads the events known by then, over all sessions, without those of bots or without consent; keeps the newest 512.
For sources that name items and no tags, it also clusters the items that occur in the same sessions: models take the
clusters as tags. It trains a version when the log has doubled since the one before, and places new items every night.
"""

from collections.abc import Sequence

from pyspark.sql import functions as F

from pipeline.errors import exit_with_message
from pipeline.transforms.day_filters import is_on
from pipeline.transforms.device_stitching import device_owners, most_users
from pipeline.transforms.sequences import excludes_item, sequences
from pipeline.transforms.sessions import Rules
from pipeline.warehouse import branches, run_log
from pipeline.warehouse.clusters import cluster_items, with_clusters
from pipeline.warehouse.step import Step, run_step
from pipeline.warehouse.tables import table
from pipeline.warehouse.writes import sequences_by_day


def main(arguments: Sequence[str] | None = None) -> None:
    with run_step("sequences", arguments, writes=("sequences", "runs")) as step:
        work(step)


def work(step: Step) -> None:
    """Build the sequences of the days of a step, on its branch."""
    spark = step.spark
    # Other days that this run cleaned have new events too, and may never be run by themselves.
    days = sorted({*step.days, *run_log.days_cleaned_by(spark, step.run_id)})
    known = spark.table(table("events")).where(F.col("known_on") <= days[-1])
    sources = step.zone.sources()
    owners = device_owners(spark.table(table("device_users")), most_users(sources))
    made = sequences(known, owners, days, Rules.of(sources), step.settings.sequence_length, excludes_item(sources))

    is_replaced = is_on(F.col("as_of"), days)
    columns = spark.table(table("sequences")).columns
    made.select(*columns).writeTo(table("sequences")).overwrite(is_replaced)

    written = spark.table(table("sequences")).where(is_replaced)
    if with_clusters(sources):
        branches.create(spark, step.refs, ("item_clusters",), step.branch)
        cluster_items(spark, sources, days[0], days[-1])
    run_log.record(spark, "sequences", step.run_id, sequences_by_day(written, days), step.clock)


if __name__ == "__main__":
    with exit_with_message():
        main()
