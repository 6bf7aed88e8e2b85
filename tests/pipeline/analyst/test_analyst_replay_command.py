"""What `rejects replay` says and leaves behind, with a night of which only the end is made up."""

import io
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console

import pipeline.runner.replay
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


class NoLease:
    """A lease of which only the taking and freeing is written down."""

    held: ClassVar[list[str]] = []

    def __init__(self, settings: Any, run_id: str, day: date) -> None:
        self.run_id = run_id

    def take(self) -> None:
        self.held.append(self.run_id)

    def free(self) -> None:
        self.held.remove(self.run_id)

    def renewed(self) -> nullcontext[None]:
        return nullcontext()


@pytest.fixture
def zone(tmp_path: Path, warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> LandingZone:
    """A landed source `shop`, of which a line is refused, and one named `calm`, of which none is."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    monkeypatch.setattr(pipeline.runner.replay, "open_catalog", lambda console: warehouse.catalog)
    monkeypatch.setattr(pipeline.runner.replay, "Lease", NoLease)
    for source in ("calm", "shop"):
        (tmp_path / "landing" / source).mkdir(parents=True)
        (tmp_path / "landing" / source / "source.toml").write_text(TOML.replace("shop", source))
        warehouse.append("runs", {"step": "clean", "day": DAY, "source": source, "rows_in": 9})
    refused = {"source": "shop", "file": "log", "line": 1, "reason": "unparsable", "arrival_day": DAY}
    warehouse.append("rejects", refused)
    warehouse.append("events", {"source": "shop", "arrival_day": date(2026, 1, 3), "last_copy_on": date(2026, 1, 3)})
    warehouse.publish(DAY)
    return LandingZone(tmp_path / "landing")


@pytest.fixture
def replay(tmp_path: Path, zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return the function that replays with a night of its own, and returns what was printed."""

    def run(night: Callable[[str], None], toml: str = REPLACED, is_dry_run: bool = False) -> str:
        def run_night(steps: Any, days: Any, run_id: str, *rest: Any, before: Any) -> None:
            assert NoLease.held == [run_id]
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
    raise AssertionError("no night was to run")


def test_a_dry_run_says_what_would_run(zone: LandingZone, replay: Callable[..., str]) -> None:
    told = replay(must_not_run, is_dry_run=True)
    assert "refused lines of shop from 2026-01-02 on: 1 unparsable" in told
    assert "would run replace_source, clean, sessions, sequences, score, profiles, publish for 2026-01-02:" in told


def test_nothing_refused_is_nothing_to_replay(zone: LandingZone, replay: Callable[..., str]) -> None:
    told = replay(must_not_run, REPLACED.replace("shop", "calm"))
    assert told.startswith("nothing to replay: no line of calm is refused, but for what rules")
    assert "to judge all lines from a day on by this TOML, --from DAY" in told
    assert NoLease.held == []


def test_a_failed_night_leaves_the_former_toml(zone: LandingZone, replay: Callable[..., str]) -> None:
    def fail(run_id: str) -> None:
        assert "wish" in LandingZone(zone.root, run_id).sources()["shop"].event_types
        assert "wish" not in zone.sources()["shop"].event_types
        raise StepFailed(1, "funnel: 1 broken")

    with pytest.raises(StepFailed) as told:
        replay(fail)
    assert str(told.value) == "funnel: 1 broken\n  nothing was published, and shop keeps the TOML that it had"
    assert told.value.exit_code == 1
    assert (zone.root / "shop" / "source.toml").read_text() == TOML
    assert zone.replaced_files("shop") == [] and NoLease.held == []


def test_a_publication_that_did_not_end_says_which_toml_is_in_force(
    zone: LandingZone, replay: Callable[..., str]
) -> None:
    def die_in_publish(run_id: str) -> None:
        LandingZone(zone.root, run_id).take_over_replaced()
        raise StepFailed(3, "killed by signal 9")

    with pytest.raises(StepFailed, match="the mended TOML is in force, but its publication did not end: give this"):
        replay(die_in_publish)
    assert (zone.root / "shop" / "source.toml").read_text() == REPLACED
    assert NoLease.held == []


def test_what_a_killed_replay_left_is_dropped(zone: LandingZone, replay: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(REPLACED)
    zone.replace_source(tmp_path / "my.toml", "replay_that_was_killed")
    seen: list[str] = []

    def end_well(run_id: str) -> None:
        seen.extend(file.stem for file in zone.replaced_files("shop"))
        LandingZone(zone.root, run_id).take_over_replaced()

    told = replay(end_well)
    assert len(seen) == 1 and seen[0].startswith("replay_shop_2")
    assert "of 1 refused lines 0 moved: 0 to events, 0 are duplicates; still refused: 1 unparsable" in told
    assert f"Land further logs of shop with {tmp_path / 'my.toml'}" in told
