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

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable
from jinja2 import StrictUndefined

from orchestration.steps import MACROS, STEP_DEFAULTS, retain_task

with DAG(
    "interest_retention",
    # In the evening no night waits for it.
    schedule=CronDataIntervalTimetable("0 20 * * *", timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=STEP_DEFAULTS,
    user_defined_macros=MACROS,
    template_undefined=StrictUndefined,
    tags=["interest", "privacy"],
    doc_md=__doc__,
) as dag:
    retain_task()
