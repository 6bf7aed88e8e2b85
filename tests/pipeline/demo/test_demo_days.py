"""The days of a demo: history, then nights under Airflow; and the horizon that fits the history."""

import os
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import pipeline.demo.demo as demo
from pipeline.days import DayRange, day_range
from pipeline.demo.demo import choose_horizon, keep_horizon, split_days
from pipeline.landing.zone import LandedDay
from pipeline.runner.commands import STEPS
from pipeline.settings import Settings, load_settings


def days(text: str) -> DayRange:
    first, last = text.split()
    return day_range(None, first, last)


@pytest.mark.parametrize(
    ("all_days", "night_count", "history", "nights"),
    [
        ("2026-01-05 2026-02-01", 2, "2026-01-05 2026-01-30", "2026-01-31 2026-02-01"),
        ("2026-01-05 2026-02-01", 1, "2026-01-05 2026-01-31", "2026-02-01 2026-02-01"),
        ("2026-01-05 2026-02-01", 0, "2026-01-05 2026-02-01", None),
        ("2026-01-05 2026-01-07", 2, "2026-01-05 2026-01-05", "2026-01-06 2026-01-07"),
        ("2026-01-05 2026-01-06", 2, "2026-01-05 2026-01-06", None),
        ("2026-01-05 2026-01-05", 2, "2026-01-05 2026-01-05", None),
    ],
)
def test_the_last_days_are_nights_if_history_remains(
    all_days: str, night_count: int, history: str, nights: str | None
) -> None:
    assert split_days(days(all_days), night_count) == (days(history), days(nights) if nights else None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home. A step of this process has set the horizon to the default, as `land` does."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    monkeypatch.delenv("THROUGHLINE_HORIZON_DAYS", raising=False)
    return tmp_path


@pytest.mark.parametrize(("history_days", "expected"), [(1, 1), (4, 1), (9, 1), (21, 1), (22, 7), (400, 7)])
def test_the_horizon_is_a_week_if_the_history_suffices(history_days: int, expected: int) -> None:
    assert choose_horizon(history_days) == expected


def test_the_horizon_that_was_chosen_is_kept_with_the_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "settings.toml").write_text('sequence_length = 64\n[spark_options]\n"spark.ui.enabled" = "false"\n')
    settings, said = load_settings(), StringIO()
    monkeypatch.setenv("THROUGHLINE_HORIZON_DAYS", "7")  # by a step of this process
    kept = keep_horizon(days("2017-11-24 2017-11-30"), settings, Console(file=said, width=200))
    assert (kept.horizon_days, kept.sequence_length) == (1, 64)
    assert "horizon: 1 day, since a training for 7 days needs 22 days, and there are 7; kept in" in said.getvalue()
    assert os.environ["THROUGHLINE_HORIZON_DAYS"] == "1"
    monkeypatch.delenv("THROUGHLINE_HORIZON_DAYS")
    assert load_settings() == kept


def test_a_horizon_that_is_set_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_HORIZON_DAYS", "2")
    said = StringIO()
    kept = keep_horizon(days("2017-11-24 2017-11-30"), load_settings(), Console(file=said))
    assert (kept.horizon_days, said.getvalue()) == (2, "horizon: 2 days, as set\n")
    assert not (home / "settings.toml").exists()


@pytest.mark.parametrize("is_trained", [True, False])
def test_without_nights_the_last_day_is_scored_again_after_a_training(
    is_trained: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[list[str], DayRange, int]] = []

    def run_night(steps: Iterable[str], part: DayRange, run_id: None, settings: Settings, *_: Any, **more: Any) -> None:
        ran.append((list(steps), part, settings.horizon_days))

    landed = {day: LandedDay("taobao", day, 5, "") for day in days("2017-11-24 2017-12-02")}
    replaced: dict[str, Any] = {
        "prepare_environment": lambda console: load_settings(),
        "run_all": lambda *_: None,
        "run_command": lambda *_: None,
        "LandingZone": lambda folder: SimpleNamespace(days=lambda source: landed),
        "run_parts": lambda wanted, settings, console: [wanted],
        "run_night": run_night,
        "_train": lambda *_: is_trained,
        "query": lambda *_: None,
        "render": lambda *_: "",
        "open_catalog": lambda console: None,
    }
    for name, function in replaced.items():
        monkeypatch.setattr(demo, name, function)
    monkeypatch.setenv("THROUGHLINE_HORIZON_DAYS", "1")
    demo.run_demo(load_settings(), home / "log.csv", "taobao", 0, Console(file=StringIO()))
    again = [(["score", "audit", "publish"], days("2017-12-02 2017-12-02"), 1)]
    assert ran == [(list(STEPS), days("2017-11-24 2017-12-02"), 1), *(again if is_trained else [])]
