"""
### Retention: delete what is older than the settings allow

Each day the task deletes landed lines, and rows of `rejects`, `sequences` and `profiles`, that are older than the
settings `keep_landing_days`, `keep_rejects_days`, `keep_sequences_days` and `keep_profiles_days`. None is set at first,
so only logs are deleted: those to which nothing was written for `keep_log_days` (30).

**Days count back from the newest cleaned day**, so a home that rests loses nothing. Rows go with a new release;
releases before it keep theirs until interest_maintenance expires them (`keep_release_days`). Events stay. A day whose
landed lines are gone cannot be run or replayed again, and says so.

**It never works beside a night**: it holds the warehouse lease. If a night or an erasure was stopped, it fails, so that
their tasks can be cleared first.

**By hand**: press *Trigger*, or run `throughline retain` in a terminal.
"""

from airflow.sdk import DAG, CronDataIntervalTimetable

from orchestration.steps import DAG_DEFAULTS, retain_task

with DAG(
    "interest_retention",
    # In the evening no night waits for it.
    schedule=CronDataIntervalTimetable("0 20 * * *", timezone="UTC"),
    tags=["interest", "privacy"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
) as dag:
    retain_task()
