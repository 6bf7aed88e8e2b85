"""Which failures are retried, by the exit code in the messages of Airflow's operators."""

from typing import Any

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException

from orchestration.alerts import error_message_in
from orchestration.steps import RetryByExitCode
from pipeline.errors import InputError, ThroughlineError, UsageError

GATE = "python ended with exit code 1. Its last lines:\n"
OUTPUT = "16:22:45 WARN chatter\nthroughline: events: 1 broken of 7 rules\nexpect_x(bot_class): 9 of 10 rows. because"


@pytest.mark.parametrize(
    ("failure", "action"),
    [
        (AirflowException(GATE + OUTPUT), RetryAction.FAIL),
        (AirflowException(GATE.replace("code 1.", "code 2.") + "throughline: which day?"), RetryAction.FAIL),
        (AirflowException(GATE.replace("code 1.", "code 3.") + "throughline: disk full"), RetryAction.DEFAULT),
        (AirflowException(GATE + "Error: Could not create the Java Virtual Machine."), RetryAction.DEFAULT),
        (AirflowException(GATE.replace("code 1.", "code -9.")), RetryAction.DEFAULT),
        (AirflowException(GATE.replace("code 1.", "code 137.")), RetryAction.DEFAULT),
        (AirflowException(GATE + "model: no history"), RetryAction.FAIL),
        (AirflowException(GATE.replace("code 1.", "code 2.") + "Usage: model score"), RetryAction.FAIL),
        (AirflowException(GATE.replace("code 1.", "code 3.") + "model: the disk is full"), RetryAction.DEFAULT),
        (AirflowException(GATE.replace("code 1.", "code 139.")), RetryAction.DEFAULT),
        (UsageError("which day?"), RetryAction.FAIL),
        (InputError("nothing landed"), RetryAction.FAIL),
        (ThroughlineError("the warehouse is still leased"), RetryAction.DEFAULT),
        (ConnectionError("the server is away"), RetryAction.DEFAULT),
    ],
)
def test_only_failures_that_a_retry_may_fix_are_retried(failure: Exception, action: RetryAction) -> None:
    assert RetryByExitCode().evaluate(failure, 1, 3).action is action


def test_the_error_message_of_a_step_is_found() -> None:
    assert error_message_in(GATE + OUTPUT) == "events: 1 broken of 7 rules\nexpect_x(bot_class): 9 of 10 rows. because"
    assert error_message_in("ended with exit code -9.") is None


def test_every_step_retries_by_exit_code(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        for task in dag.tasks:
            assert isinstance(task.retry_policy, RetryByExitCode)
            assert task.retries == (0 if task.task_id == "wait_for_landing" else 2)
            assert 0 < task.retry_delay.total_seconds() < 600, "after a longer silence another run takes the lease"
