"""What `rejects replay` and `items replay` print and leave behind; the night itself is replaced by a function."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import pipeline.runner.replay
from pipeline.errors import InputError
from pipeline.landing.zone import LandingZone
from pipeline.runner.process import StepFailed

DAY = date(2026, 1, 2)
TOML = """
name = "shop"
[reader]
format = "csv"
columns = ["user", "at", "type"]
[columns]
user_id = "user"
event_at = "to_timestamp(at)"
event_type = "type"
[event_types.view]
as = "view"
"""
REPLACED = f'{TOML}[event_types.wish]\nas = "like"\n'


HOLDERS: list[str] = []  # of the lease


@contextmanager
def hold_no_lease(settings: Any, run_id: str, day: date) -> Iterator[None]:
    """Record who would hold the lease."""
    HOLDERS.append(run_id)
    try:
        yield
    finally:
        HOLDERS.remove(run_id)


@pytest.fixture
def zone(tmp_path: Path, warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> LandingZone:
    """A landed source `shop` with a rejected line, and one named `calm` without."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    monkeypatch.setattr(pipeline.runner.replay, "open_catalog", lambda console: warehouse.catalog)
    monkeypatch.setattr(pipeline.runner.replay, "lease_held", hold_no_lease)
    for source in ("calm", "shop"):
        (tmp_path / "landing" / source).mkdir(parents=True)
        (tmp_path / "landing" / source / "source.toml").write_text(TOML.replace("shop", source))
        warehouse.append("runs", {"step": "clean", "day": DAY, "source": source, "rows_in": 9})
    rejected = {"source": "shop", "file": "log", "line": 1, "reason": "unparsable", "arrival_day": DAY}
    warehouse.append("rejects", rejected)
    warehouse.append("events", {"source": "shop", "arrival_day": date(2026, 1, 3), "last_copy_on": date(2026, 1, 3)})
    warehouse.publish(DAY)
    return LandingZone(tmp_path / "landing")


@pytest.fixture
def replay(tmp_path: Path, zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that replays with `night` in the place of the real one, and returns what was printed."""

    def run(night: Callable[[str], None], toml: str = REPLACED, is_dry_run: bool = False) -> str:
        def run_night(steps: Any, days: Any, run_id: str, *rest: Any, before: Any) -> None:
            assert [run_id] == HOLDERS
            assert [command.label for command in before] == ["replace_source"]
            zone.replace_source(tmp_path / "my.toml", run_id)
            night(run_id)

        monkeypatch.setattr(pipeline.runner.replay, "run_night", run_night)
        (tmp_path / "my.toml").write_text(toml)
        out = io.StringIO()
        console = Console(file=out, width=200, color_system=None)
        pipeline.runner.replay.replay_rejects(tmp_path / "my.toml", None, None, is_dry_run, console)
        return out.getvalue()

    return run


def must_not_run(run_id: str) -> None:
    raise AssertionError("a night ran")


def test_a_dry_run_prints_the_plan(zone: LandingZone, replay: Callable[..., str]) -> None:
    printed = replay(must_not_run, is_dry_run=True)
    assert "rejected lines of shop from 2026-01-02 on: 1 unparsable" in printed
    steps = "clean, sessions, sequences, score, profiles, audit, publish"
    assert f"would run replace_source, {steps} for 2026-01-02:" in printed


def test_without_rejected_lines_there_is_nothing_to_replay(zone: LandingZone, replay: Callable[..., str]) -> None:
    printed = replay(must_not_run, REPLACED.replace("shop", "calm"))
    assert printed.startswith("nothing to replay: calm has no rejected lines but those of its own rules")
    assert "to replay from a day, add --from DAY" in printed
    assert HOLDERS == []


def test_a_failed_night_leaves_the_former_toml(zone: LandingZone, replay: Callable[..., str]) -> None:
    def fail(run_id: str) -> None:
        assert "wish" in LandingZone(zone.root, run_id).sources()["shop"].event_types
        assert "wish" not in zone.sources()["shop"].event_types
        raise StepFailed(1, "lines: 1 broken")

    with pytest.raises(StepFailed) as caught:
        replay(fail)
    assert str(caught.value) == "lines: 1 broken\n  nothing was published, and shop keeps its former TOML"
    assert caught.value.exit_code == 1
    assert (zone.root / "shop" / "source.toml").read_text() == TOML
    assert zone.replaced_files("shop") == [] and HOLDERS == []


def test_an_unfinished_publication_names_the_toml_in_force(zone: LandingZone, replay: Callable[..., str]) -> None:
    def die_in_publish(run_id: str) -> None:
        LandingZone(zone.root, run_id).take_over_replaced()
        raise StepFailed(3, "killed by signal 9")

    with pytest.raises(StepFailed, match="the corrected TOML is in force, but its publication did not end: run this"):
        replay(die_in_publish)
    assert (zone.root / "shop" / "source.toml").read_text() == REPLACED
    assert HOLDERS == []


def test_leftovers_of_a_killed_replay_are_deleted(
    zone: LandingZone, replay: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "my.toml").write_text(REPLACED)
    zone.replace_source(tmp_path / "my.toml", "replay_that_was_killed")
    seen: list[str] = []

    def end_well(run_id: str) -> None:
        seen.extend(file.stem for file in zone.replaced_files("shop"))
        LandingZone(zone.root, run_id).take_over_replaced()

    printed = replay(end_well)
    assert len(seen) == 1 and seen[0].startswith("replay_shop_2")
    assert "of 1 rejected lines 0 moved: 0 to events, 0 are duplicates; still rejected: 1 unparsable" in printed
    assert f"Land later logs of shop with {tmp_path / 'my.toml'}" in printed


@pytest.fixture
def replay_items(zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that replays catalogues of `shop` with `night` in the place of the real one."""
    (zone.root / "shop" / "items").mkdir()
    (zone.root / "shop" / "items" / "000001-abc-from-2026-01-09.parquet").write_bytes(b"")
    for source in ("calm", "shop"):
        zone.day_folder(source, DAY).mkdir()
        zone.close_day(source, DAY)

    def run(night: Callable[[str], None], source: str = "shop", is_dry_run: bool = False) -> str:
        def run_night(steps: Any, days: Any, run_id: str, *rest: Any) -> None:
            assert [run_id] == HOLDERS and days.first == DAY
            night(run_id)

        monkeypatch.setattr(pipeline.runner.replay, "run_night", run_night)
        out = io.StringIO()
        pipeline.runner.replay.replay_items(source, None, is_dry_run, Console(file=out, width=200, color_system=None))
        return out.getvalue()

    return run


def test_catalogues_apply_to_earlier_days_once_their_night_is_published(
    zone: LandingZone, replay_items: Callable[..., str]
) -> None:
    def fail(run_id: str) -> None:
        assert LandingZone(zone.root, run_id).items_replayed_from("shop") == date.min
        raise StepFailed(1, "lines: 1 broken")

    assert "would run clean, sessions" in replay_items(must_not_run, is_dry_run=True)
    with pytest.raises(StepFailed, match="nothing was published, and the catalogues of shop apply to the same days"):
        replay_items(fail)
    assert zone.replaced_files("shop") == [] and HOLDERS == []
    assert [file.name for file in zone.catalogue_files("shop")] == ["000001-abc-from-2026-01-09.parquet"]
    printed = replay_items(lambda run_id: LandingZone(zone.root, run_id).take_over_replaced())
    assert "the landed catalogues of shop apply to all days" in printed
    assert [file.name for file in zone.catalogue_files("shop")] == ["000001-abc.parquet"]


def test_a_source_without_a_catalogue_has_none_to_replay(replay_items: Callable[..., str]) -> None:
    with pytest.raises(InputError, match="no catalogue of 'calm' has landed: expected one of shop"):
        replay_items(must_not_run, "calm")
