"""The run log says whether a run may be published: each step has ended, and its audit after all others."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.runner.commands import RECORDED_TASKS
from pipeline.warehouse import run_log

DAY, NEXT = date(2026, 1, 31), date(2026, 2, 1)
RUNS = "step STRING, day DATE, source STRING, run_id STRING, finished_at TIMESTAMP"


@pytest.fixture
def publishable(spark: Any, frame_of: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return the function that checks, as `publish` does, steps that ended one after the other on these days."""
    monkeypatch.setattr(run_log, "table", lambda name: f"{name}_of_a_test")

    def check(*steps: str, day: date = DAY, run_id: str = "night") -> None:
        ended = [datetime(2026, 2, 1, 0, minute, tzinfo=UTC) for minute in range(len(steps))]
        rows = [
            {"step": step, "day": day, "run_id": run_id, "source": "", "finished_at": at}
            for step, at in zip(steps, ended, strict=True)
        ]
        frame_of(rows, RUNS).createOrReplaceTempView("runs_of_a_test")
        of_run = run_log.rows_of_run(spark, "night")
        run_log.require_ended(of_run, RECORDED_TASKS, "night", DAY, newest="audit")

    return check


def test_the_steps_that_publication_requires() -> None:
    assert RECORDED_TASKS == ("clean", "sessions", "sequences", "profiles", "audit")


def test_a_run_whose_audit_ended_last_may_be_published(publishable: Callable[..., None]) -> None:
    publishable(*RECORDED_TASKS)
    publishable("sequences", "clean", "profiles", "sessions", "audit")


@pytest.mark.parametrize("missing", RECORDED_TASKS)
def test_a_run_that_lacks_a_step_is_not_published(publishable: Callable[..., None], missing: str) -> None:
    with pytest.raises(InputError, match=f"step {missing} of run night has not ended for 2026-01-31: run it first"):
        publishable(*[step for step in RECORDED_TASKS if step != missing])


@pytest.mark.parametrize("of_another", [{"day": NEXT}, {"run_id": "another"}])
def test_the_audit_of_another_day_or_run_does_not_count(publishable: Callable[..., None], of_another: Any) -> None:
    with pytest.raises(InputError, match="step clean of run night has not ended for 2026-01-31"):
        publishable(*RECORDED_TASKS, **of_another)


@pytest.mark.parametrize("repeated", RECORDED_TASKS[:-1])
def test_a_step_repeated_after_the_audit_is_not_published(publishable: Callable[..., None], repeated: str) -> None:
    """A terminal uses one run id a day, so the run may have an audit of before."""
    with pytest.raises(InputError, match=f"step {repeated} of run night has ended after audit: run audit again"):
        publishable(*RECORDED_TASKS, repeated)
    publishable(*RECORDED_TASKS, repeated, "audit")


def test_the_days_of_a_run_are_those_of_its_newest_try(
    spark: Any, frame_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal runs a range and then its last day under one run id; the second run cleaned one day."""
    monkeypatch.setattr(run_log, "table", lambda name: f"{name}_of_a_test")
    first, second = (datetime(2026, 2, 2, hour, tzinfo=UTC) for hour in (1, 2))
    days = [(DAY, first, "night"), (NEXT, second, "night"), (date(2026, 1, 30), second, "another")]
    rows = [
        {"step": "clean", "day": day, "run_id": run_id, "source": source, "finished_at": at}
        for day, at, run_id in days
        for source in ("demo", "shop")
    ]
    frame_of(rows, RUNS).createOrReplaceTempView("runs_of_a_test")
    assert run_log.days_cleaned_by(spark, "night") == [NEXT]
    assert run_log.days_cleaned_by(spark, "another") == [date(2026, 1, 30)]
    assert run_log.days_cleaned_by(spark, "no run") == []
