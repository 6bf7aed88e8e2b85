"""Train a version of item clusters, which serve as tags where a log has none.

    python -m pipeline.jobs clusters --through 2026-01-31 [--run-id ID]

Nights train by themselves when a log has doubled (see the job `sequences`); this job trains at once. Reads the sessions
known through the day, of every source that names items and no tags. Holds the lease and writes to a branch of its own,
to which main moves at the end; analysts see the table `item_clusters` with the next release. A version never changes: a
second training through the same day does nothing. Fails when too few items have enough sessions.
"""

import argparse
from collections.abc import Sequence

from pipeline.days import parse_day
from pipeline.errors import exit_with_message
from pipeline.warehouse import branches, run_log
from pipeline.warehouse.clusters import place_items, require_trainable, train_version, version_of, versions
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
        newest_cleaned = run_log.newest_cleaned_day(spark.table(table("runs")))
        for name in require_trainable(sources, through, newest_cleaned):
            assert newest_cleaned
            if through in versions(spark, name):
                print(f"{version_of(through)} of {name} exists already: nothing to do", flush=True)
                continue
            train_version(spark, name, sources[name], through)
            place_items(spark, name, sources[name], through, newest_cleaned)
        step.lease.require_held()
        spark.conf.unset("spark.wap.branch")
        refs = branches.read_refs(spark)
        branches.fast_forward(spark, refs, step.branch)
        branches.drop(spark, refs, step.branch)
    step.lease.free()


if __name__ == "__main__":
    with exit_with_message():
        main()
