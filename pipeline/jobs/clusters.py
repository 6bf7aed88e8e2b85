"""Train a version of item clusters, which serve as tags for the days after.

    python -m pipeline.jobs clusters --through 2026-01-31 [--run-id ID]

Reads the sessions known through the day, of every source whose TOML has [clusters]. Holds the lease and writes to a
branch of its own, to which main moves at the end; analysts see the table `item_clusters` with the next release. A
version never changes: a second training through the same day does nothing. Fails when too few items have enough
sessions.
"""

import argparse
from collections.abc import Sequence
from datetime import timedelta

from pipeline.days import parse_day
from pipeline.errors import exit_with_message
from pipeline.transforms.item_clusters import item_clusters
from pipeline.warehouse import branches, run_log
from pipeline.warehouse.clusters import add_version, newest_tags, newest_versions, sources_to_train, version_of
from pipeline.warehouse.names import clusters_run_id
from pipeline.warehouse.step import run_step
from pipeline.warehouse.tables import table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="clusters")
    parser.add_argument("--through", required=True, help="the last day of the training data, such as 2026-01-31")
    parser.add_argument("--run-id", help="run id of the training; by default clusters_ and the day")
    parsed = parser.parse_args(arguments)
    through = parse_day(parsed.through)
    run_id = parsed.run_id or clusters_run_id(through)

    with run_step(
        "clusters", ["--day", str(through), "--run-id", run_id], ("item_clusters",), is_first_step=True
    ) as step:
        spark, sources = step.spark, step.zone.sources()
        clusters = spark.table(table("item_clusters"))
        newest = newest_versions(clusters)
        newest_cleaned = run_log.newest_cleaned_day(spark.table(table("runs")))
        wanted = sources_to_train(sources, newest, through, newest_cleaned)
        if not wanted:
            print(f"{version_of(through)} exists already: nothing to do", flush=True)
        for name in wanted:
            sessions = spark.table(table("sessions")).where(f"source = '{name}'")
            before = newest_tags(clusters, name, newest).localCheckpoint()
            items = spark.table(table("items")).where(f"space = '{sources[name].item_space}'")
            made = item_clusters(sessions, items, before, through, sources[name].clusters)
            made = made.localCheckpoint()
            add_version(spark, made, name, through)
            print(f"{version_of(through)} of {name}: {made.count()} items have a tag", flush=True)
        if wanted and newest_cleaned and newest_cleaned > through:
            days = f"--from {through + timedelta(days=1)} --to {newest_cleaned}"
            print(f"days after {through} were cleaned without it: `throughline run {days}` adds its tags", flush=True)
        step.lease.require_held()
        spark.conf.unset("spark.wap.branch")
        refs = branches.read_refs(spark)
        branches.fast_forward(spark, refs, step.branch)
        branches.drop(spark, refs, step.branch)
    step.lease.free()


if __name__ == "__main__":
    with exit_with_message():
        main()
