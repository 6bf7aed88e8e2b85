"""Cut the events of users with news into sessions.

    spark-submit pipeline/jobs/sessions.py --day 2026-01-31 [--run-id ID]

Reads the events that are new or changed, and the sessions that they touch, which are cut again from what they hold;
all other sessions and their ids are left alone.
Fails when a rule of `pipeline/expectations/sessions.json` is broken.
"""

from pyspark.sql import functions as F

from pipeline import gates
from pipeline.errors import told_in_one_line
from pipeline.sessionize import Rules, is_counted, sessionize, sessions_of
from pipeline.touched import changed_by, events_to_cut, touched_sessions
from pipeline.warehouse import runs
from pipeline.warehouse.branches import table_before
from pipeline.warehouse.night import night
from pipeline.warehouse.sessions import replace_sessions, sessions_by_day
from pipeline.warehouse.tables import table


def main() -> None:
    with night("sessions") as here:
        spark = here.spark
        rules = Rules.of(here.zone.sources())
        cleaned = runs.days_of_run(spark, "clean", here.run_id)
        newest = max(day for _, day in runs.cleaned_days(spark))
        events = spark.table(table("events")).withColumn("is_counted", is_counted())
        sessions = spark.table(table("sessions"))
        before = table_before(spark, "events").withColumn("is_counted", is_counted())

        changed = changed_by(events, before, cleaned)
        # Cut loose from the table that they are about to change.
        touched = touched_sessions(sessions, changed, rules).localCheckpoint()
        cut = sessionize(events_to_cut(touched, changed), rules)
        made = sessions_of(cut, rules, F.lit(newest)).localCheckpoint()
        written = replace_sessions(spark, made, touched)

        gate = gates.check(written, "sessions")
        rows = sessions_by_day(written, events, cleaned)
        runs.record(spark, "sessions", here.run_id, rows, gate, here.clock)


if __name__ == "__main__":
    with told_in_one_line():
        main()
