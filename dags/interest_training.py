"""
### Weekly training: challenger against champion and baselines

Trains a challenger on all that was known through a day, and judges it against the champion and the built-in counts on
the week before that day, which it has not seen. It becomes champion only if it wins; the nights after then score with
it, unless their `model` says otherwise. The task's log ends with the verdict and its numbers.

**To train by hand** press *Trigger*. Without a day it knows all up to the last whole day before its interval ends.
Training the same day again makes another version, since profiles name the one that scored them.

**When the task is red** because there is too little history, run more nights first. Nights go on meanwhile. A task that
was killed goes on where it was when it is tried again, or cleared.

**A larger Transformer**, or several GPUs: the settings `transformer_size` and `train_ranks`, then start Airflow anew.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from jinja2 import StrictUndefined

from orchestration.steps import MACROS, STEP_DEFAULTS, train_step

PARAMS = {
    "through": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Through (UTC)",
        description="The last day that training may know. Empty: the last whole day of the run's data interval.",
    ),
    "promote": Param(
        True,
        type="boolean",
        title="Promote if it wins",
        description="Off: train and judge, but let the nights score as before.",
    ),
}

with DAG(
    "interest_training",
    # Monday morning, when Sunday's night is published.
    schedule=CronDataIntervalTimetable("0 6 * * 1", timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args={**STEP_DEFAULTS, "execution_timeout": timedelta(hours=24)},
    user_defined_macros=MACROS,
    template_undefined=StrictUndefined,
    tags=["interest", "training"],
    doc_md=__doc__,
) as dag:
    train_step()
