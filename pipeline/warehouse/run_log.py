"""The table `runs`: rows in and out, gate results and time of each step, for `explain day` and `night_health`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.quality.figures import Figure
from pipeline.transforms.day_filters import is_on
from pipeline.transforms.rows import frame_of_rows
from pipeline.warehouse.tables import table


@dataclass(frozen=True)
class StepRow:
    """A row of `runs` for one step and day: rows in, and rows out by outcome."""

    day: date
    rows_in: int
    rows_out: Mapping[str, int]
    source: str = ""
    input_sha256: str = ""


@dataclass
class StepClock:
    """Measures the seconds of a step since this object was created."""

    started: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        return round(time.monotonic() - self.started, 3)


def record(
    spark: SparkSession,
    step: str,
    run_id: str,
    rows: Sequence[StepRow],
    clock: StepClock,
    gate: Sequence[Figure] = (),
) -> None:
    """Replace the step's rows of these days, on the branch of the run."""
    if not rows:
        return
    gate_rows = [(figure.name, figure.broken_count, figure.is_warning) for figure in gate]
    now = datetime.now(UTC)
    values = [
        (
            step,
            row.day,
            row.source,
            run_id,
            row.rows_in,
            dict(row.rows_out),
            row.input_sha256,
            gate_rows,
            clock.seconds(),
            now,
        )
        for row in rows
    ]
    frame = frame_of_rows(spark, values, spark.table(table("runs")).schema)
    is_replaced = (F.col("step") == step) & is_on(F.col("day"), [row.day for row in rows])
    kept = spark.table(table("runs")).where(~is_replaced)
    # The table is small, so it is rewritten: Iceberg could not overwrite single rows within a file.
    kept.unionByName(frame).coalesce(1).writeTo(table("runs")).overwrite(F.lit(True))


def cleaned_days(spark: SparkSession) -> dict[tuple[str, date], str]:
    """Return the digest of the landed files by source and arrival day, for all days cleaned so far."""
    rows = spark.table(table("runs")).where("step = 'clean'").select("source", "day", "input_sha256").collect()
    return {(row.source, row.day): row.input_sha256 for row in rows}


def newest_cleaned_day(runs: DataFrame) -> date | None:
    """Return the newest cleaned arrival day, if any. runs: the table `runs`, as of now or before."""
    row = runs.where("step = 'clean'").agg(F.max("day").alias("day")).first()
    return row.day if row else None


def rows_of_run(spark: SparkSession, run_id: str) -> list[Row]:
    """Return `step`, `day` and `finished` (microseconds since 1970) of all that a run recorded.

    Spark hands out times by the clock of the machine, on which an hour may come twice.
    """
    own = spark.table(table("runs")).where(F.col("run_id") == run_id)
    return list(own.select("step", "day", F.unix_micros("finished_at").alias("finished")).distinct().collect())


def require_ended(rows: Sequence[Row], steps: Sequence[str], run_id: str, day: date, newest: str | None = None) -> None:
    """Raise InputError unless each of the steps of a run has ended for a day, and `newest` after the others.

    rows: of the run; see `rows_of_run`.
    """
    ended: dict[str, int] = {}
    for row in rows:
        if row.day == day:
            ended[row.step] = max(row.finished, ended.get(row.step, row.finished))
    for step in steps:
        if step not in ended:
            raise InputError(f"step {step} of run {run_id} has not ended for {day}: run it first")
        if newest and ended[step] > ended.get(newest, ended[step]):
            raise InputError(f"step {step} of run {run_id} has ended after {newest}: run {newest} again")


def days_of_run(rows: Sequence[Row], step: str) -> list[date]:
    """Return the days that the newest try of this step recorded, oldest first.

    A run in the terminal may have the id of an earlier run of more days.

    rows: of the run; see `rows_of_run`.
    """
    own = [row for row in rows if row.step == step]
    newest = max((row.finished for row in own), default=None)
    return sorted({row.day for row in own if row.finished == newest})


def days_cleaned_by(spark: SparkSession, run_id: str) -> list[date]:
    """Return the arrival days that the newest try of `clean` in a run recorded, oldest first."""
    return days_of_run(rows_of_run(spark, run_id), "clean")
