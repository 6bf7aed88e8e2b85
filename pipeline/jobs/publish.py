"""Publish a run: move main of every table to its branch, then add the row to `releases` that readers use.

    python -m pipeline.jobs publish --day 2026-01-31 [--run-id ID]

A TOML that was replaced for this run becomes that of its source. As the last step of a run, it drops the branches and
frees the lease. It may be repeated after a crash. Fails when a step of this run is missing, or has ended after the
audit.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from pipeline.errors import exit_with_message
from pipeline.runner.commands import RECORDED_TASKS
from pipeline.settings import code_version
from pipeline.warehouse import branches, run_log
from pipeline.warehouse.step import run_step
from pipeline.warehouse.tables import table


def main(arguments: Sequence[str] | None = None) -> None:
    with run_step("publish", arguments) as step:
        spark = step.spark
        run_log.require_ended(spark, RECORDED_TASKS, step.run_id, step.days.last, newest="audit")
        step.zone.take_over_replaced()
        spark.conf.unset("spark.wap.branch")
        snapshots = branches.fast_forward(spark, step.refs, step.branch)
        config_hash = step.settings.results_hash(step.zone.source_files())
        release = (step.days.last, datetime.now(UTC), step.run_id, snapshots, code_version(), config_hash)
        schema = spark.table(table("releases")).schema
        spark.createDataFrame([release], schema).writeTo(table("releases")).append()
        branches.drop(spark, step.refs, step.branch)
        print(f"published {step.days}: {', '.join(f'{name} {snapshot}' for name, snapshot in snapshots.items())}")
    step.lease.free()


if __name__ == "__main__":
    with exit_with_message():
        main()
