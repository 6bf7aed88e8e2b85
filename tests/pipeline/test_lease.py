"""One run writes at a time: the lease in a real PostgreSQL, held by one of two runs."""

import socket
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.errors import ThroughlineError
from pipeline.local import postgres
from pipeline.settings import Settings
from pipeline.warehouse.lease import Lease

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """Settings of a home with a running PostgreSQL; a run waits one second for another one.

    The home is not among pytest's folders: another run of pytest would shut those to the account of PostgreSQL.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with TemporaryDirectory(prefix="throughline-tests-", ignore_cleanup_errors=True) as folder:
        made = Settings(home=Path(folder) / "throughline", postgres_port=port, lease_wait_seconds=1)
        postgres.start(made)
        yield made
        postgres.stop(made)


def test_another_run_waits_and_prints_the_holder(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    monday, tuesday = Lease(settings, "run_of_monday", MONDAY), Lease(settings, "run_of_tuesday", TUESDAY)
    monday.take()
    with pytest.raises(ThroughlineError, match="still leased to run run_of_monday of 2026-01-05"):
        tuesday.take(poll_seconds=0.2)
    assert capsys.readouterr().out.startswith("waiting for run run_of_monday of 2026-01-05")
    monday.free()
    tuesday.take()
    tuesday.free()


def test_a_lease_that_another_run_holds_is_not_freed(settings: Settings) -> None:
    """A run that failed while it waited frees only its own lease, which it does not hold."""
    monday, tuesday = Lease(settings, "run_of_monday", MONDAY), Lease(settings, "run_of_tuesday", TUESDAY)
    monday.take()
    tuesday.free()
    holder = tuesday.try_take()
    assert holder and (holder.run_id, holder.day) == ("run_of_monday", MONDAY)
    monday.require_held()
    monday.free()
    assert tuesday.try_take() is None
    tuesday.free()


def test_the_next_step_of_a_run_keeps_its_lease(settings: Settings) -> None:
    Lease(settings, "run_of_monday", MONDAY).take()
    next_step = Lease(settings, "run_of_monday", MONDAY)
    next_step.take()
    next_step.require_held()
    next_step.free()


def test_a_silent_lease_is_taken_over_and_its_run_gets_an_error(settings: Settings) -> None:
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
