"""Clean the landed lines of a day into events, rejects and items.

    python -m pipeline.jobs clean --day 2026-01-31 [--run-id ID]

Reads the landing zone: the day, and each earlier landed day that was never cleaned. As the first step of a run, it
takes the lease and creates the branches. Fails when lines in are not accepted + duplicates + rejects. The table
`rejects` has reason, detail and text of each rejected line.
"""

from collections.abc import Sequence
from functools import partial

from pyspark.sql import functions as F

from pipeline.days import format_days
from pipeline.errors import exit_with_message
from pipeline.landing.clean_plan import plan_cleaning
from pipeline.transforms.clean import clean, validate_sources
from pipeline.transforms.deduplicate import first_filled_since
from pipeline.transforms.device_stitching import most_users
from pipeline.transforms.items import catalogues_of
from pipeline.transforms.line_accounting import count_outcomes, require_nothing_lost, step_rows
from pipeline.transforms.parse import landed_lines
from pipeline.transforms.union import union
from pipeline.warehouse import run_log
from pipeline.warehouse.step import run_step
from pipeline.warehouse.tables import table
from pipeline.warehouse.writes import write_device_users, write_events, write_items


def main(arguments: Sequence[str] | None = None) -> None:
    with run_step(
        "clean", arguments, writes=("events", "rejects", "items", "device_users", "runs"), is_first_step=True
    ) as step:
        spark, zone = step.spark, step.zone
        landed = {name: zone.days(name) for name in zone.sources()}
        filled_since = partial(first_filled_since, spark.table(table("events")))
        plan = plan_cleaning(step.days, landed, run_log.cleaned_days(spark), filled_since)
        if plan.empty_days:
            print(f"warning: nothing landed on {format_days(plan.empty_days)}; it counts as empty", flush=True)

        catalogues = list(catalogues_of(spark, zone).values())
        lines = landed_lines(spark, zone, plan)
        sources = zone.sources()
        validated = validate_sources(lines, sources, catalogues, step.settings)
        # Every later plan reads it; with a checkpoint, none contains the expressions of all sources.
        validated = validated.localCheckpoint()
        known = spark.table(table("events")).where(F.col("arrival_day") < plan.first)
        cleaned = clean(validated, known, plan.first, step.settings)
        write_events(spark, plan, cleaned)
        write_items(spark, plan, catalogues)
        write_device_users(spark, plan, most_users(sources))

        days = F.col("arrival_day").between(plan.first, plan.last)
        events = spark.table(table("events")).where(days)
        unfolded = [name for name, source in sources.items() if source.unfold]
        all_lines = union([of_source.select("source", "arrival_day", "file") for of_source in lines.values()])
        accounts = count_outcomes(
            all_lines, events, cleaned.copies, spark.table(table("rejects")).where(days), unfolded
        )
        require_nothing_lost(accounts, plan.landed)
        run_log.record(spark, "clean", step.run_id, step_rows(plan, accounts), step.clock)


if __name__ == "__main__":
    with exit_with_message():
        main()
