"""Publish a night: move main of every table to its branch, then add the row of `releases` that readers go by.

    spark-submit pipeline/jobs/publish.py --day 2026-01-31 [--run-id ID]

A TOML that was mended for this run is everybody's from then on. Ends the night: drops its branches, frees the lease.
Repeating it after a crash is harmless. Fails when a step of this run is missing: run the night again from `clean`.
"""

from datetime import UTC, datetime

from pipeline.errors import InputError, told_in_one_line
from pipeline.settings import code_version
from pipeline.warehouse import branches, run_log
from pipeline.warehouse.step import night
from pipeline.warehouse.tables import table


def main() -> None:
    with night("publish") as here:
        spark = here.spark
        for step in ("clean", "sessions", "sequences", "profiles"):
            if here.days.last not in run_log.days_of_run(spark, step, here.run_id):
                raise InputError(
                    f"step {step} of run {here.run_id} has not ended for {here.days.last}: run it before publish"
                )
        here.zone.take_over_mended()
        spark.conf.unset("spark.wap.branch")
        snapshots = branches.fast_forward(spark, here.branch)
        config_hash = here.settings.results_hash(here.zone.source_files())
        release = (here.days.last, datetime.now(UTC), here.run_id, snapshots, code_version(), config_hash)
        schema = spark.table(table("releases")).schema
        spark.createDataFrame([release], schema).writeTo(table("releases")).append()
        branches.drop(spark, here.branch)
        print(f"published {here.days}: {', '.join(f'{name} {snapshot}' for name, snapshot in snapshots.items())}")
    here.lease.free()


if __name__ == "__main__":
    with told_in_one_line():
        main()
