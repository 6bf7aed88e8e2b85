"""
### One night: from the landed log to published interest profiles

Waits until the day's log has landed, then **clean → sessions → sequences → score → profiles → publish**.
Each step is a command that also runs in a terminal (`throughline clean --day D`), and ends with its quality gate.
Analysts see nothing until `publish`, and then all tables at once.

**To run days again** press *Trigger*, then *Backfill*: each run takes its day from its data interval. Any day twice,
in any order, gives the tables of the nights themselves. Days that have a run already need *All Runs*, or *Missing and
Errored Runs* for the red ones alone.
**To run one day by hand** press *Trigger* and give the day. Nights take turns: one that finds the warehouse leased to
another waits, without a slot.

**When a task is red** its log says what was found, what was expected, what to do. A failed gate is never retried:
mend the cause, then clear the task with everything downstream. Anything else was tried three times.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, AsyncCallback, CronDataIntervalTimetable, DeadlineAlert, DeadlineReference, Param, chain
from jinja2 import StrictUndefined

from orchestration.alerts import deadline_missed
from orchestration.operators import WaitForLanding
from orchestration.publication import ASSETS, emit_publication
from orchestration.steps import MACROS, STEP_DEFAULTS, score_step, spark_step

PARAMS = {
    "day": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Day (UTC)",
        description="The arrival day to run. Empty: the first day of the run's data interval, which for a run by hand "
        "is yesterday as a rule. Leave it empty in a backfill: each of its runs has a day of its own.",
    ),
    "model": Param(
        "as-of",
        type="string",
        pattern=r"^(as-of|none|[a-z0-9]+-[0-9][A-Za-z0-9.-]*)$",
        title="Model",
        description="as-of: the newest promoted version that was trained through the day or before. "
        "none: the built-in counts. Or a version to pin, such as boosting-1.20260131.",
    ),
    "everybody": Param(
        False,
        type="boolean",
        title="Score everybody",
        description="Score all users seen within 90 days, not those with news and a seventh of the others alone.",
    ),
}

with DAG(
    "interest_nightly",
    # A bare cron string would give Airflow 3 runs an interval of no length.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=UTC),  # early, since a backfill cannot go back beyond it
    catchup=False,
    max_active_runs=1,  # of scheduled runs; backfills take turns by the lease
    params=PARAMS,
    default_args=STEP_DEFAULTS,
    user_defined_macros=MACROS,
    template_undefined=StrictUndefined,
    deadline=DeadlineAlert(
        # By DAGRUN_QUEUED_AT, Airflow 3.3.2 could not clear a failed run any more (it adds up a dict and a number).
        reference=DeadlineReference.AVERAGE_RUNTIME(max_runs=10, min_runs=1),
        interval=timedelta(hours=6),
        callback=AsyncCallback(deadline_missed),
    ),
    tags=["interest", "nightly"],
    doc_md=__doc__,
) as dag:
    chain(
        WaitForLanding(task_id="wait_for_landing", retries=0, doc_md=WaitForLanding.__doc__),
        *[spark_step(job) for job in ("clean", "sessions", "sequences")],
        score_step(),
        spark_step("profiles"),
        spark_step("publish", outlets=ASSETS, post_execute=emit_publication),
    )
