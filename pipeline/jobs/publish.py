"""Publish a run: move main of every table to its branch, then add the row to `releases` that readers use.

    python -m pipeline.jobs publish --day 2026-01-31 [--run-id ID]

A TOML that was replaced for this run becomes that of its source. As the last step of a run, it drops the branches and
frees the lease. It may be repeated after a crash. Fails when a step of this run is missing, or has ended after the
audit.
When the run is visible, the report of its last day is written, by default `THROUGHLINE_HOME/reports/<day>.html`; a line
names it. If that fails, a warning says so, since the run is published by then.
"""

from collections.abc import Sequence
from datetime import date

from pipeline.errors import describe, exit_with_message
from pipeline.local.spark_config import pyiceberg_properties
from pipeline.runner.commands import RECORDED_TASKS
from pipeline.runner.process import import_in_background
from pipeline.settings import Settings
from pipeline.warehouse import branches, run_log
from pipeline.warehouse.step import run_step
from pipeline.warehouse.writes import add_release


def prepare() -> None:
    """Import what the report of a published day needs."""
    import pyiceberg.catalog.sql  # noqa: F401
    import vl_convert  # noqa: F401

    import pipeline.analyst.report.page  # noqa: F401


def main(arguments: Sequence[str] | None = None) -> None:
    with run_step("publish", arguments) as step:
        import_in_background(["pipeline.jobs.publish"])
        spark = step.spark
        run_log.require_ended(
            run_log.rows_of_run(spark, step.run_id), RECORDED_TASKS, step.run_id, step.days.last, newest="audit"
        )
        step.zone.take_over_replaced()
        spark.conf.unset("spark.wap.branch")
        snapshots = branches.fast_forward(spark, step.refs, step.branch)
        config_hash = step.settings.results_hash(step.zone.source_files())
        add_release(spark, step.days.last, step.run_id, snapshots, config_hash)
        branches.drop(spark, step.refs, step.branch)
        print(f"published {step.days}: {', '.join(f'{name} {snapshot}' for name, snapshot in snapshots.items())}")
    step.lease.free()
    write_report_of(step.days.last, step.settings)


def write_report_of(day: date, settings: Settings) -> None:
    """Write the report of a published day and print where it is; print a warning if that fails."""
    try:
        from pipeline.analyst.release import open_catalog
        from pipeline.analyst.report.page import write_report

        catalog = open_catalog(pyiceberg_properties(settings))
        print(f"report: {write_report(catalog, day, settings.reports_folder, settings.min_audience)}", flush=True)
    except Exception as error:
        print(
            f"warning: {day} is published, but its report failed: {describe(error)}; "
            f"`throughline report --day {day}` writes it",
            flush=True,
        )


if __name__ == "__main__":
    with exit_with_message():
        main()
