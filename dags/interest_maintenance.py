"""
### Maintenance: keep tables and folders from growing

Once a week the task merges small files, expires the snapshots that no kept release names, and deletes orphan files, old
logs and the scores that runs handed over. The local PostgreSQL is vacuumed, and Airflow's records of runs without logs
are deleted from it (`airflow db clean`). No row changes, and every kept day gives the same answers as before.

**What stays readable**: the newest release, the newest one of each of the last `keep_release_days` days (90), and what
was published in the last two days. A query of an older day says that its snapshots are gone.

**It never works beside a night**: it holds the warehouse lease, and a night that starts meanwhile waits. If a night was
stopped before its publication, nothing is merged, so that its tasks can be cleared and go on.

**By hand**: press *Trigger*, or run `throughline maintain` in a terminal.
"""

from airflow.sdk import DAG, CronDataIntervalTimetable

from orchestration.steps import DAG_DEFAULTS, maintain_task

with DAG(
    "interest_maintenance",
    # On Sunday noon the night is long over, and the training begins a day later.
    schedule=CronDataIntervalTimetable("0 12 * * 0", timezone="UTC"),
    tags=["interest", "maintenance"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
) as dag:
    maintain_task()
