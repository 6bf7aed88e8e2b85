"""Nothing is lost: lines in = accepted + duplicates + rejects, for every file and day (DESIGN.md 5.5.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.errors import GateError
from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.zone import LandedDay
from pipeline.sources.schema import REASONS
from pipeline.warehouse.run_log import StepRow

OUTCOMES = ("accepted", "duplicates", "rejects")


@dataclass(frozen=True)
class FileAccount:
    """What became of the lines of one file on one arrival day.

    set_aside: those of the rejects that a rule of the TOML refused on purpose.
    """

    source: str
    day: date
    file: str
    lines_in: int
    outcomes: dict[str, int]
    set_aside: int = 0


def count_outcomes(
    lines: DataFrame, accepted: DataFrame, duplicates: DataFrame, rejects: DataFrame
) -> list[FileAccount]:
    """Count lines and fates per source, arrival day and file.

    lines: landed lines. accepted, duplicates, rejects: one row a line, as they were written; rejects with `reason`.
    """
    set_aside = rejects.where(~F.col("reason").isin(*REASONS))
    kinds = {"lines": lines, "accepted": accepted, "duplicates": duplicates, "rejects": rejects, "set_aside": set_aside}
    by_kind = [
        frame.select("source", "arrival_day", "file", F.lit(kind).alias("kind")) for kind, frame in kinds.items()
    ]
    counted = (
        reduce(DataFrame.unionAll, by_kind)
        .groupBy("source", "arrival_day", "file").pivot("kind", list(kinds)).count().na.fill(0)
        .orderBy("source", "arrival_day", "file")
    )  # fmt: skip
    return [
        FileAccount(
            row.source,
            row.arrival_day,
            row.file,
            row.lines,
            {outcome: row[outcome] for outcome in OUTCOMES},
            row.set_aside,
        )
        for row in counted.collect()
    ]


def require_nothing_lost(accounts: Iterable[FileAccount], landed: Iterable[LandedDay]) -> None:
    """Raise GateError if lines of a file are not accounted for, or a day lacks lines that it was closed with."""
    accounts = list(accounts)
    for one in accounts:
        if one.lines_in != sum(one.outcomes.values()):
            told = " + ".join(f"{count} {outcome}" for outcome, count in one.outcomes.items())
            raise GateError(
                f"lines were lost: {one.source} {one.day} {one.file} has {one.lines_in} lines in, but {told}; "
                f"nothing was published. This is a fault of the pipeline: please report it with this line"
            )
    for day in landed:
        found = sum(one.lines_in for one in accounts if (one.source, one.day) == (day.source, day.day))
        if found != day.lines:
            raise GateError(
                f"lines were lost: {day.source} {day.day} was closed with {day.lines} lines, {found} are there; "
                f"nothing was published. Was a file taken from the landing folder? Put it back, or land the day again"
            )


def gate_frame(spark: SparkSession, accounts: Iterable[FileAccount]) -> DataFrame:
    """Return the funnels per source and day, for the gate `account`: lines_in, each fate, accounted, reject_share.

    reject_share: of the lines that no rule of the TOML set aside, how many were refused.
    """
    counts = ("lines_in", *OUTCOMES, "set_aside")
    per_file = spark.createDataFrame(
        [(one.source, one.day, one.lines_in, *one.outcomes.values(), one.set_aside) for one in accounts],
        f"source string, day date, {', '.join(f'{name} long' for name in counts)}",
    )
    per_day = per_file.groupBy("source", "day").agg(*[F.sum(name).alias(name) for name in counts])
    unexpected, considered = F.col("rejects") - F.col("set_aside"), F.col("lines_in") - F.col("set_aside")
    return per_day.withColumns(
        {
            "accounted": F.col("accepted") + F.col("duplicates") + F.col("rejects"),
            "reject_share": F.when(considered > 0, unexpected / considered).otherwise(0.0),
        }
    )


def step_rows(plan: CleanPlan, accounts: Iterable[FileAccount]) -> list[StepRow]:
    """Return the row of `runs` of each planned source and day, empty days included."""
    accounts = list(accounts)
    rows = [StepRow(day, 0, dict.fromkeys(OUTCOMES, 0)) for day in plan.empty_days]
    for day in plan.landed:
        own = [one for one in accounts if (one.source, one.day) == (day.source, day.day)]
        outcomes = {outcome: sum(one.outcomes[outcome] for one in own) for outcome in OUTCOMES}
        rows.append(StepRow(day.day, sum(one.lines_in for one in own), outcomes, day.source, day.sha256))
    return rows
