"""Build the sessions of new and changed events.

    python -m pipeline.jobs sessions --day 2026-01-31 [--run-id ID]

Reads the new and changed events and the sessions that they affect, which are computed again from their own events. All
other sessions and their ids stay.
"""

from collections.abc import Sequence

from pyspark.sql import functions as F

from pipeline.errors import exit_with_message
from pipeline.transforms.device_stitching import device_owners, most_users, moved_devices, owned
from pipeline.transforms.incremental_sessions import affected_sessions, changed_by, events_to_sessionize
from pipeline.transforms.sessions import Rules, sessionize, sessions_of
from pipeline.warehouse import run_log
from pipeline.warehouse.branches import table_before
from pipeline.warehouse.step import Step, run_step
from pipeline.warehouse.tables import table
from pipeline.warehouse.writes import replace_sessions, sessions_by_day


def main(arguments: Sequence[str] | None = None) -> None:
    with run_step("sessions", arguments, writes=("sessions", "runs")) as step:
        work(step)


def work(step: Step) -> None:
    """Build the sessions of what the run cleaned, on its branch."""
    spark = step.spark
    rules = Rules.of(step.zone.sources())
    cleaned = run_log.days_cleaned_by(spark, step.run_id)
    day_before = run_log.newest_cleaned_day(table_before(spark, step.refs, "runs"))
    newest_before = F.lit(day_before)
    newest = F.lit(max([*cleaned, *filter(None, [day_before])], default=None))
    shares = most_users(step.zone.sources())
    owners = device_owners(spark.table(table("device_users")), shares)
    owners_before = device_owners(table_before(spark, step.refs, "device_users"), shares)
    events = owned(spark.table(table("events")), owners, newest)
    before = owned(table_before(spark, step.refs, "events"), owners_before, newest_before)
    sessions = spark.table(table("sessions"))

    moved = moved_devices(owners, owners_before, newest, newest_before) if shares else None
    changed = changed_by(events, before, cleaned, moved)
    # Checkpoints, since both are read after the table that they come from is overwritten.
    affected = affected_sessions(sessions, changed, rules).localCheckpoint()
    sessionized = sessionize(events_to_sessionize(affected, changed), rules)
    made = sessions_of(sessionized, rules, newest).localCheckpoint()
    written = replace_sessions(spark, made, affected)

    rows = sessions_by_day(written, events, cleaned)
    run_log.record(spark, "sessions", step.run_id, rows, step.clock)


if __name__ == "__main__":
    with exit_with_message():
        main()
