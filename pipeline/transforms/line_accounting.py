"""Line accounting: no line is lost. For each file and day, lines in = accepted + duplicates + rejects."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.errors import GateError
from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.zone import LandedDay
from pipeline.sources.schema import REASONS, SET_ASIDE
from pipeline.transforms.union import union
from pipeline.warehouse.run_log import StepRow

LINE = ["source", "arrival_day", "file", "line"]
OUTCOMES = ("accepted", "duplicates", "rejects")


@dataclass(frozen=True)
class FileAccount:
    """The lines of one file on one arrival day, by outcome.

    excluded: the rejects that a rule of `[reject_when]` excluded on purpose. collisions: events whose event_id an
    earlier event with other facts has.
    """

    source: str
    day: date
    file: str
    lines_in: int
    outcomes: dict[str, int]
    excluded: int = 0
    collisions: int = 0


def count_outcomes(
    lines: DataFrame, events: DataFrame, copies: DataFrame, rejects: DataFrame, unfolded: Collection[str] = ()
) -> list[FileAccount]:
    """Count the lines by outcome, per source, arrival day and file.

    A line with several events, of a source with `[unfold]`, is accepted if one of them is, else a duplicate if one is.

    lines: landed lines. events, copies, rejects: one row per event, as written; rejects need `reason`, events
    `is_collision`. unfolded: names of the sources with `[unfold]`.
    """
    accepted, duplicates = events, copies
    if unfolded:
        accepted = lines_of(events, unfolded, [])
        duplicates = lines_of(copies, unfolded, [events])
        rejects = lines_of(rejects, unfolded, [events, copies])
    excluded = rejects.where(~F.col("reason").isin(*REASONS))
    kinds = {"lines": lines, "accepted": accepted, "duplicates": duplicates, "rejects": rejects, "excluded": excluded,
             "collisions": events.where("is_collision")}  # fmt: skip
    by_kind = [
        frame.select("source", "arrival_day", "file", F.lit(kind).alias("kind")) for kind, frame in kinds.items()
    ]
    counted = (
        union(by_kind)
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
            row.excluded,
            row.collisions,
        )
        for row in counted.collect()
    ]


def lines_of(rows: DataFrame, unfolded: Collection[str], counted: Sequence[DataFrame]) -> DataFrame:
    """Return one row per line, of sources with `[unfold]` without those that have a row in a frame of `counted`."""
    is_unfolded = F.col("source").isin(list(unfolded))
    several = rows.where(is_unfolded).orderBy("part").dropDuplicates(LINE)
    for frame in counted:
        several = several.join(frame.where(is_unfolded).select(*LINE), LINE, "left_anti").select(*rows.columns)
    return rows.where(~is_unfolded).unionByName(several)


def require_nothing_lost(accounts: Iterable[FileAccount], landed: Iterable[LandedDay]) -> None:
    """Raise GateError if lines of a file are not accounted for, or a day lacks lines that it was closed with."""
    accounts = list(accounts)
    for one in accounts:
        if one.lines_in != sum(one.outcomes.values()):
            counts = " + ".join(f"{count} {outcome}" for outcome, count in one.outcomes.items())
            raise GateError(
                f"lines were lost: {one.source} {one.day} {one.file} has {one.lines_in} lines in, but {counts}; "
                f"nothing was published. This is a fault of the pipeline: please report it with this line"
            )
    for day in landed:
        found = sum(one.lines_in for one in accounts if (one.source, one.day) == (day.source, day.day))
        if found != day.lines:
            raise GateError(
                f"lines were lost: {day.source} {day.day} was closed with {day.lines} lines, {found} are there; "
                f"nothing was published. Was a file removed from the landing folder? Put it back, or land its log "
                f"again with --again"
            )


def line_counts(cleaned: DataFrame, rejects: DataFrame) -> DataFrame:
    """Return a row per source and day for the suite `line_accounting`.

    Its columns are `lines_in`, a count per outcome, `excluded` (rejects of a rule of `[reject_when]`), `set_aside` (the
    lines without these, if the day was set aside, else 0), `rejected` (lines that are rejected for what they say),
    `reject_share` (their share of the lines that no rule excluded) and `reasons` (a text of them by reason).
    cleaned: rows of the step `clean` in `runs`, one per source and day. rejects: their rejects, as written.
    """
    names = (*OUTCOMES, "excluded", SET_ASIDE)
    outcomes = [F.coalesce(F.col("rows_out")[name], F.lit(0)).alias(name) for name in names]
    day = F.col("arrival_day").alias("day")
    by_reason = rejects.where(F.col("reason").isin(*REASONS)).groupBy("source", day, "reason")
    counted = F.sort_array(F.collect_list(F.struct("count", "reason")), asc=False)
    own = F.filter(counted, lambda one: one["reason"] != SET_ASIDE)
    reasons = F.array_join(F.transform(own, lambda one: F.concat_ws(" ", one["count"], one["reason"])), ", ")
    counts = (
        cleaned.select("source", "day", F.col("rows_in").alias("lines_in"), *outcomes)
        .join(by_reason.count().groupBy("source", "day").agg(reasons.alias("reasons")), ["source", "day"], "left")
        .join(_kept_out(rejects), ["source", "day"], "left")
        .na.fill({"reasons": "", "kept_out": 0})
    )
    rejected = F.col("rejects") - F.col("excluded") - F.col("kept_out")
    return with_reject_share(counts.withColumn("rejected", rejected).drop("kept_out"))


def _kept_out(rejects: DataFrame) -> DataFrame:
    """Return per source and day the number of sound lines that are kept out with their day."""
    lines = rejects.where(F.col("reason") == SET_ASIDE).select(*LINE).distinct()
    return lines.groupBy("source", F.col("arrival_day").alias("day")).agg(F.count("*").alias("kept_out"))


def with_reject_share(counts: DataFrame) -> DataFrame:
    """Add `reject_share`: the share of `rejected` among the lines that no rule of `[reject_when]` excluded."""
    considered = F.col("lines_in") - F.col("excluded")
    return counts.withColumn("reject_share", F.when(considered > 0, F.col("rejected") / considered).otherwise(0.0))


def step_rows(
    plan: CleanPlan, accounts: Iterable[FileAccount], set_aside: Mapping[tuple[str, date], str]
) -> list[StepRow]:
    """Return the rows of `runs` for the planned sources and days, empty days included.

    set_aside: by source and day that was set aside, the digest by which a later run knows it.
    """
    accounts = list(accounts)
    rows = [StepRow(day, 0, dict.fromkeys(OUTCOMES, 0)) for day in plan.empty_days]
    for day in plan.landed:
        own = [one for one in accounts if (one.source, one.day) == (day.source, day.day)]
        outcomes = {outcome: sum(one.outcomes[outcome] for one in own) for outcome in OUTCOMES}
        outcomes |= {"excluded": sum(one.excluded for one in own), "collisions": sum(one.collisions for one in own)}
        lines_in, sha256 = sum(one.lines_in for one in own), day.sha256
        if (day.source, day.day) in set_aside:
            outcomes[SET_ASIDE] = lines_in - outcomes["excluded"]
            sha256 = set_aside[day.source, day.day]
        rows.append(StepRow(day.day, lines_in, outcomes, day.source, sha256))
    return rows
