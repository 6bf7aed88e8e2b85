"""Clean the landed lines of a day into events, rejects and items.

    python -m pipeline.jobs clean --day 2026-01-31 [--run-id ID]

Reads the landing zone: the day, and each earlier landed day that was never cleaned. As the first step of a run, it
takes the lease and creates the branches. Fails when lines in are not accepted + duplicates + rejects. The table
`rejects` has reason and detail of each rejected line. If too many lines of a source's day are rejected, all of them
are, with the reason `set_aside`, unless the setting `failed_source` is `stop` or no other source of the day passes.
"""

from collections.abc import Sequence
from datetime import date
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.days import format_days
from pipeline.erasure.landed_lines import remove_texts
from pipeline.erasure.tombstones import REFUSED, tombstones
from pipeline.errors import exit_with_message
from pipeline.landing.clean_plan import digest_if_set_aside, plan_cleaning
from pipeline.quality.figures import load_suite
from pipeline.sources.schema import ERASED
from pipeline.transforms.clean import clean, validate_sources
from pipeline.transforms.deduplicate import first_filled_since
from pipeline.transforms.device_stitching import most_users
from pipeline.transforms.items import catalogues_of
from pipeline.transforms.line_accounting import LINE, count_outcomes, require_nothing_lost, step_rows
from pipeline.transforms.log_size import in_few_tasks
from pipeline.transforms.parse import landed_lines
from pipeline.transforms.set_aside import JudgedDay, days_to_set_aside, judge_days, with_days_set_aside
from pipeline.transforms.union import union
from pipeline.warehouse import run_log
from pipeline.warehouse.step import Step, run_step
from pipeline.warehouse.tables import table
from pipeline.warehouse.writes import write_device_users, write_events, write_items

LINES_GATE = "at most a fifth of the lines is rejected"


TABLES = ("events", "rejects", "items", "device_users", "runs")


def main(arguments: Sequence[str] | None = None) -> None:
    with run_step("clean", arguments, writes=TABLES, is_first_step=True) as step:
        work(step)


def work(step: Step) -> None:
    """Clean the days of a step, on its branch."""
    spark, zone = step.spark, step.zone
    landed = {name: zone.days(name) for name in zone.sources()}
    filled_since = partial(first_filled_since, spark.table(table("events")))
    tomls = zone.toml_digests()
    removed = max((zone.removed_before(name) for name in landed), default=date.min)
    plan = plan_cleaning(step.days, landed, run_log.cleaned_days(spark), filled_since, tomls, removed)
    for stray in plan.stray:
        print(f"warning: {stray.source} {stray.day}: {stray.lines:,} lines lie far from all others and wait for "
              f"`throughline run --day {stray.day}` or `throughline landed drop`", flush=True)  # fmt: skip
    if plan.empty_days:
        print(f"warning: nothing landed on {format_days(plan.empty_days)}; it counts as empty", flush=True)

    catalogues = list(catalogues_of(spark, zone).values())
    lines = landed_lines(spark, zone, plan)
    sources = zone.sources()
    validated = validate_sources(lines, sources, catalogues, step.settings)
    # Every later plan reads it; with a checkpoint, none contains the expressions of all sources.
    validated = in_few_tasks(validated).localCheckpoint()
    failed = failed_days(step, validated)
    validated = with_days_set_aside(validated, failed)
    known = spark.table(table("events")).where(F.col("arrival_day") < plan.first)
    cleaned = clean(validated, known, plan.first, step.settings)
    write_events(spark, plan, cleaned)
    write_items(spark, plan, catalogues)
    write_device_users(spark, plan, most_users(sources))

    days = F.col("arrival_day").between(plan.first, plan.last)
    events = spark.table(table("events")).where(days)
    unfolded = [name for name, source in sources.items() if source.unfold]
    all_lines = union([of_source.select("source", "arrival_day", "file") for of_source in lines.values()])
    accounts = count_outcomes(all_lines, events, cleaned.copies, spark.table(table("rejects")).where(days), unfolded)
    require_nothing_lost(accounts, plan.landed)
    of_failed = {(one.source, one.day) for one in failed}
    set_aside = {
        (day.source, day.day): digest_if_set_aside(day, tomls[day.source])
        for day in plan.landed
        if (day.source, day.day) in of_failed
    }
    run_log.record(spark, "clean", step.run_id, step_rows(plan, accounts, set_aside), step.clock)
    remove_erased_texts(step, spark.table(table("rejects")).where(days))


def remove_erased_texts(step: Step, rejects: DataFrame) -> None:
    """Remove from the landing zone the texts of lines of people who were erased before the lines landed."""
    if not tombstones(step.settings):
        return
    late = rejects.where((F.col("reason") == ERASED) & (F.col("detail") == REFUSED)).select(*LINE).distinct()
    if count := remove_texts(step.zone, late.toArrow()):
        print(f"warning: {count:,} lines of erased people arrived; their texts are removed", flush=True)


def failed_days(step: Step, validated: DataFrame) -> list[JudgedDay]:
    """Return the days of a source that fail the gate of `audit` and are kept out of this run, and print them."""
    if step.settings.failed_source == "stop":
        return []
    sources = step.zone.sources()
    [gate] = [rule.broken for rule in load_suite("line_accounting").rules if rule.rule == LINES_GATE]
    judged = judge_days(validated, [name for name, source in sources.items() if source.unfold], gate)
    tried = [name for name in sources if step.zone.replaced_file(name, step.run_id).is_file()]
    failed = days_to_set_aside(judged, step.days, tried)
    for one in failed:
        print(f"warning: set aside {one}; all lines of the day are kept out, other sources go on", flush=True)
    return failed


if __name__ == "__main__":
    with exit_with_message():
        main()
