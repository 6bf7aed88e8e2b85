"""Days of a source whose lines fail their gate: a night keeps these lines out, so that the other sources go on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.sources.schema import REASONS, SET_ASIDE
from pipeline.transforms.line_accounting import lines_of, with_reject_share


@dataclass(frozen=True)
class JudgedDay:
    """The lines of a source on an arrival day, without those that [reject_when] excludes, and how many are rejected."""

    source: str
    day: date
    lines: int
    rejected: int
    is_failed: bool

    def __str__(self) -> str:
        return f"{self.source} {self.day}: {self.rejected:,} of {self.lines:,} lines are rejected"


def judge_days(validated: DataFrame, unfolded: Collection[str], gate: str) -> list[JudgedDay]:
    """Judge the lines of each source and arrival day by the gate of `audit`, in order of day and source.

    validated: one row per event; needs the columns of its line and `reason`. unfolded: the sources with `[unfold]`.
    gate: the condition of the suite `line_accounting` that is true for a broken day.
    """
    accepted, rejected = validated.where("reason IS NULL"), validated.where("reason IS NOT NULL")
    if unfolded:
        accepted = lines_of(accepted, unfolded, [])
        rejected = lines_of(rejected, unfolded, [accepted])
    outcome = F.when(F.col("reason").isNull(), "accepted").when(F.col("reason").isin(*REASONS), "rejected")
    by_line = accepted.unionByName(rejected).withColumn("outcome", F.coalesce(outcome, F.lit("excluded")))
    counts = (
        by_line.groupBy("source", F.col("arrival_day").alias("day"))
        .pivot("outcome", ["accepted", "rejected", "excluded"]).count().na.fill(0)
        .withColumn("lines_in", F.col("accepted") + F.col("rejected") + F.col("excluded"))
        .withColumn("set_aside", F.lit(0))
    )  # fmt: skip
    judged = with_reject_share(counts).withColumn("is_failed", F.expr(gate)).orderBy("day", "source")
    return [
        JudgedDay(row.source, row.day, row.lines_in - row.excluded, row.rejected, row.is_failed)
        for row in judged.collect()
    ]


def days_to_set_aside(judged: Iterable[JudgedDay], wanted: Iterable[date], never: Collection[str]) -> list[JudgedDay]:
    """Return the failed days that a run keeps out; none if the run has to stop by its gates.

    It stops if all sources of a wanted day fail, since nothing of the day would be left, and if a source of `never`
    fails: that of a TOML that is tried.
    """
    failed = [one for one in judged if one.is_failed]
    of_day: dict[date, list[bool]] = defaultdict(list)
    for one in judged:
        if one.lines:
            of_day[one.day].append(one.is_failed)
    is_lost = any(of_day[day] and all(of_day[day]) for day in wanted)
    return [] if is_lost or any(one.source in never for one in failed) else failed


def with_days_set_aside(validated: DataFrame, days: Sequence[JudgedDay]) -> DataFrame:
    """Reject all lines of these days. A line that is rejected already keeps its reason."""
    reason, detail = F.col("reason"), F.col("detail")
    for one in days:
        is_of_day = F.col("reason").isNull() & (F.col("source") == one.source) & (F.col("arrival_day") == one.day)
        reason = F.when(is_of_day, SET_ASIDE).otherwise(reason)
        detail = F.when(is_of_day, f"its day was set aside: {one}").otherwise(detail)
    return validated.withColumns({"reason": reason, "detail": detail})
