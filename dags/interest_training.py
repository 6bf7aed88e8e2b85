"""
### Weekly training: challenger against champion and baselines

Training fits a challenger on the data known through a day. It evaluates the challenger against the champion and the
built-in counts on the last horizon of that data, which the evaluated fit has not seen. The challenger becomes champion
only if it wins. Later nights then score with it, unless their param `model` names another. The task's log ends with the
decision and its figures.

**To train by hand**, press *Trigger*. Without a day, the data ends with the last whole day of the data interval.
Training the same day again makes another version, since profiles name the version that scored them.

**If the task fails** for lack of history, run more nights first. Nights continue meanwhile. A killed task resumes from
its checkpoint when it is retried or cleared.

**For a larger Transformer or several GPUs**, change the settings `transformer_size` and `train_ranks`, then restart
Airflow.
"""

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from orchestration.steps import DAG_DEFAULTS, train_task

PARAMS = {
    "through": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Through (UTC)",
        description="Last day of the training data. Empty: the last whole day of the run's data interval.",
    ),
    "promote": Param(
        True,
        type="boolean",
        title="Promote if it wins",
        description="Off: train and evaluate, but keep the champion.",
    ),
}

with DAG(
    "interest_training",
    # On Monday morning Sunday's night is published.
    schedule=CronDataIntervalTimetable("0 6 * * 1", timezone="UTC"),
    params=PARAMS,
    tags=["interest", "training"],
    doc_md=__doc__,
    **DAG_DEFAULTS,
) as dag:
    train_task()
