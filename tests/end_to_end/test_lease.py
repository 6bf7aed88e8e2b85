"""One night writes at a time: the lease in a real PostgreSQL, seen from two runs."""

import time
from datetime import date
from typing import Any

import pytest

from pipeline.errors import ThroughlineError
from pipeline.settings import Settings
from pipeline.warehouse.lease import Lease

pytestmark = pytest.mark.end_to_end

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)


@pytest.fixture
def settings(installation: Any) -> Settings:
    """Settings of the installation, with its PostgreSQL up; another night is waited for one second."""
    installation.do("setup")
    port = int(installation.environment["THROUGHLINE_POSTGRES_PORT"])
    return Settings(home=installation.home, postgres_port=port, lease_wait_seconds=1)


def test_another_night_waits_and_says_for_whom(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    monday, tuesday = Lease(settings, "run_of_monday", MONDAY), Lease(settings, "run_of_tuesday", TUESDAY)
    monday.take()
    with pytest.raises(ThroughlineError, match="still leased to run run_of_monday of 2026-01-05"):
        tuesday.take(poll_seconds=0.2)
    assert capsys.readouterr().out.startswith("waiting for run run_of_monday of 2026-01-05")
    monday.free()
    tuesday.take()
    tuesday.free()


def test_the_next_step_of_a_night_keeps_its_lease(settings: Settings) -> None:
    Lease(settings, "run_of_monday", MONDAY).take()
    next_step = Lease(settings, "run_of_monday", MONDAY)
    next_step.take()
    next_step.require_held()
    next_step.free()


def test_a_silent_lease_is_taken_over_and_its_run_is_told(settings: Settings) -> None:
    impatient = settings.model_copy(update={"lease_silence_seconds": 1})
    dead, living = Lease(impatient, "dead_run", MONDAY), Lease(impatient, "living_run", TUESDAY)
    dead.take()
    time.sleep(1.2)
    living.take()
    with pytest.raises(ThroughlineError, match="run dead_run lost the warehouse lease"):
        dead.require_held()
    living.free()


def test_a_renewed_lease_is_not_silent(settings: Settings) -> None:
    impatient = settings.model_copy(update={"lease_silence_seconds": 1})
    working, waiting = Lease(impatient, "working_run", MONDAY), Lease(impatient, "waiting_run", TUESDAY)
    working.take()
    with working.renewed(every_seconds=0.2):
        time.sleep(1.5)
        with pytest.raises(ThroughlineError, match="still leased to run working_run"):
            waiting.take(poll_seconds=0.2)
    working.free()
