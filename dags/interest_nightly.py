"""
### One night: from the landed log to published interest profiles

The night waits until the day's log has landed. Then it runs **clean → sessions → sequences → score → profiles → audit →
publish**. Each step is a command that also runs in a terminal (`throughline clean --day D`). `audit` checks everything
that the night wrote; its log names the page with the figures of all rules. Analysts see nothing until `publish`, and
then all tables at once. The button *Report* of the task `publish` opens the page of the night.

**To run days again**, press *Trigger*, then *Backfill*. Each run takes its day from its data interval. Days can run
twice and in any order; the tables are the same. Days that already have a run need *All Runs*, or *Missing and Errored
Runs* for the failed ones only.

**To run one day by hand**, press *Trigger* and enter the day. One night writes at a time. A night that finds the
warehouse leased to another run waits without a slot.

**If a task fails**, its log says what was found, what was expected and what to do. A failed gate is never retried: fix
the cause, then clear the task with all downstream tasks. Any other failure has been tried three times. A source
of whose lines too many are rejected stops no other source: its lines of the day are kept out, and `audit` warns.
"""

from datetime import timedelta

from airflow.sdk import DAG, AsyncCallback, CronDataIntervalTimetable, DeadlineAlert, DeadlineReference, Param, chain

from orchestration.alerts import deadline_missed
from orchestration.operators import WaitForLanding
from orchestration.steps import DAG_DEFAULTS, night_tasks

PARAMS = {
    "day": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Day (UTC)",
        description="The arrival day to run. Empty: the first day of the run's data interval, usually yesterday for "
        "a run by hand. Leave it empty in a backfill, where each run has its own day.",
    ),
    "model": Param(
        "as-of",
        type="string",
        pattern=r"^(as-of|none|[a-z0-9]+-[0-9][A-Za-z0-9.-]*)$(?!\n)",
        title="Model",
        description="as-of: the newest promoted version trained through the day or earlier. "
        "none: the built-in counts. Or a version, such as boosting-1.20260131.",
    ),
    "all_users": Param(
        False,
        type="boolean",
        title="Score all users",
        description="Score all users seen within 90 days. Off: users with new events, and a seventh of the others or "
        "more; all when another model scores than the day before.",
    ),
}

with DAG(
    "interest_nightly",
    # A bare cron string would give runs of Airflow 3 an empty interval.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    params=PARAMS,
    deadline=DeadlineAlert(
        # With DAGRUN_QUEUED_AT, Airflow 3.3.2 cannot clear a failed run (it adds a dict to a number).
        reference=DeadlineReference.AVERAGE_RUNTIME(max_runs=10, min_runs=1),
        interval=timedelta(hours=6),
        callback=AsyncCallback(deadline_missed),
    ),
    tags=["interest", "nightly"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
) as dag:
    chain(
        WaitForLanding(task_id="wait_for_landing", retries=0, doc_md=WaitForLanding.__doc__),
        *night_tasks(),
    )
