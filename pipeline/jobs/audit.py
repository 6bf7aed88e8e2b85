"""Check what a run wrote against the quality gates, before it is published.

    python -m pipeline.jobs audit --day 2026-01-31 [--run-id ID]

Fails when a rule of `pipeline/quality/suites` is broken. The message names each broken rule, its counts and its reason.
A broken rule of severity `warning` is printed and does not stop the publication.
The Data Docs of Great Expectations are a page, by default `THROUGHLINE_HOME/data_docs/<day>.html`; the last line names
it.
"""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.errors import exit_with_message
from pipeline.quality import gates
from pipeline.runner.commands import RECORDED_TASKS
from pipeline.runner.process import import_in_background
from pipeline.transforms.day_filters import is_on
from pipeline.transforms.device_stitching import devices_of_users
from pipeline.transforms.line_accounting import line_counts
from pipeline.transforms.model_output import model_output
from pipeline.warehouse import run_log
from pipeline.warehouse.branches import changed_days, table_before
from pipeline.warehouse.step import Step, run_step
from pipeline.warehouse.tables import table


def prepare() -> None:
    """Import Great Expectations, which takes seconds."""
    gates.load_great_expectations()


def main(arguments: Sequence[str] | None = None) -> None:
    import_in_background(["pipeline.jobs.audit"])
    with run_step("audit", arguments, writes=("runs",)) as step:
        before = [task for task in RECORDED_TASKS if task != "audit"]
        of_run = run_log.rows_of_run(step.spark, step.run_id)
        run_log.require_ended(of_run, before, step.run_id, step.days.last)
        page = step.settings.data_docs_folder / f"{step.days.last}.html"
        cleaned = run_log.days_of_run(of_run, "clean")
        figures = gates.check(written(step, cleaned), f"audit of {step.days}", page)
        checked = sum({figure.suite: figure.row_count for figure in figures}.values())
        rows = [run_log.StepRow(day, checked, {}) for day in step.days]
        run_log.record(step.spark, "audit", step.run_id, rows, step.clock, figures)


def written(step: Step, cleaned: Sequence[date]) -> dict[str, DataFrame]:
    """Return the rows that the run wrote on its branch, by suite. cleaned: the arrival days that it cleaned."""
    spark = step.spark
    arrived = F.col("arrival_day").between(cleaned[0], cleaned[-1])
    started = {*cleaned, *changed_days(spark, step.refs, "sessions", "started_on", step.branch)}
    of_clean = (F.col("step") == "clean") & (F.col("run_id") == step.run_id) & (F.col("source") != "")
    has_clusters = any(source.cluster_count for source in step.zone.sources().values())
    return {
        "line_accounting": line_counts(
            spark.table(table("runs")).where(of_clean), spark.table(table("rejects")).where(arrived)
        ),
        "events": spark.table(table("events")).where(arrived),
        "users": devices_of_users(spark.table(table("events")).where(arrived)),
        "sessions": spark.table(table("sessions")).where(is_on(F.col("started_on"), started)),
        "sequences": spark.table(table("sequences"))
        .where(is_on(F.col("as_of"), {*step.days, *cleaned}))
        .withColumn("sequence_length", F.lit(step.settings.sequence_length)),
        "profiles": spark.table(table("profiles"))
        .where(is_on(F.col("as_of"), step.days))
        .withColumn("has_clusters", F.lit(has_clusters)),
        "model_output": model_output(
            spark.table(table("profiles")),
            spark.table(table("sequences")),
            table_before(spark, step.refs, "sequences"),
            step.days,
        ).withColumns(
            {
                "has_clusters": F.lit(has_clusters),
                "min_coverage": F.lit(step.settings.min_coverage),
                "max_tag_drift": F.lit(step.settings.max_tag_drift),
            }
        ),
    }


if __name__ == "__main__":
    with exit_with_message():
        main()
