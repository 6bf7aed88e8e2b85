"""A first night that a gate stops, by real processes: a guessed TOML, its correction, and the way to a release.

What failed an audit has to be readable afterwards: SQLMesh/sqlmesh issue 3064, sodadata/soda-sql issue 319.
The tests share one installation, and each begins where the one before ended.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.end_to_end

DAY = "2026-03-01"


@dataclass(frozen=True)
class FirstNight:
    """An installation, and the folder with the log and its TOMLs."""

    installation: Any
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "wishes.jsonl"

    @property
    def toml(self) -> Path:
        return self.folder / "myshop.toml"


def log_lines() -> list[str]:
    """Return 100 lines: 30 of the type `wish`, 10 of a user `undefined`, 60 others."""
    lines = []
    for number in range(100):
        user = "undefined" if number % 10 == 9 else f"u-{number % 10}"
        kind = "wish" if number % 10 < 3 else "view"
        event = {"user": user, "time": f"{DAY}T10:{number % 60:02d}:00Z", "type": kind, "item": f"i{number % 7}"}
        lines.append(json.dumps({**event, "tags": [f"t{number % 5}"]}))
    return lines


@pytest.fixture(scope="module")
def first_night(own_installation: Any, tmp_path_factory: pytest.TempPathFactory) -> FirstNight:
    made = FirstNight(own_installation, tmp_path_factory.mktemp("first"))
    made.log.write_text("\n".join(log_lines()) + "\n")
    return made


def test_a_toml_is_guessed_and_tried(first_night: FirstNight) -> None:
    printed = first_night.installation.do("source", "new", first_night.log, "--name", "myshop", "-o", first_night.toml)
    assert "of the first 100 lines 90 are accepted, 10 rejected and 0 excluded by [reject_when]" in printed
    assert "missing_user" in printed and "wishes.jsonl:10" in printed
    assert "events: 90, users: 9, items: 7, from 2026-03-01 to 2026-03-01" in printed
    again = first_night.installation.call("source", "new", first_night.log, "--name", "myshop", "-o", first_night.toml)
    assert again.returncode == 2 and "exists already: add --force" in again.stderr


def test_a_check_says_what_a_toml_of_ones_own_refuses(first_night: FirstNight) -> None:
    content = first_night.toml.read_text()
    first_night.toml.write_text(content.replace('[event_types."wish"]', "[event_types.gift]"))
    done = first_night.installation.call("source", "check", first_night.toml, first_night.log)
    assert done.returncode == 1
    assert "unknown_event_type" in done.stdout and "wishes.jsonl:1 " in done.stdout
    assert "accepts 60 of 100 lines: a night needs 80%" in done.stderr


def test_a_gate_that_stops_the_first_night_says_what_to_type(first_night: FirstNight) -> None:
    here = first_night.installation
    here.do("land", "--source", first_night.toml, first_night.log)
    done = here.call("run", "--day", DAY)
    assert done.returncode == 1
    assert f"myshop {DAY}: 40 of 100 lines (30 unknown_event_type, 10 missing_user)" in done.stderr
    assert f"throughline rejects list --unpublished --source myshop --from {DAY} --to {DAY}" in done.stderr


def test_what_was_never_published_can_be_read(first_night: FirstNight) -> None:
    here = first_night.installation
    listed = here.do("rejects", "list", "--source", "myshop")
    assert "which is not published" in listed and "wishes.jsonl:1 " in listed
    explained = here.do("explain", "day", DAY)
    assert "which is not published: a gate or a failure stopped it" in explained
    assert "myshop: 100 lines in = 60 accepted + 0 duplicates + 40 rejects ✓" in explained
    asked = here.call("query", "SELECT 1")
    assert asked.returncode == 1 and f"see `throughline explain day {DAY}`" in asked.stderr


def test_a_replay_with_a_corrected_toml_publishes_the_first_night(first_night: FirstNight) -> None:
    here = first_night.installation
    fixed = first_night.folder / "fixed.toml"
    fixed.write_text(first_night.toml.read_text().replace("[event_types.gift]", "[event_types.wish]"))
    printed = here.do("rejects", "replay", "--source", fixed)
    assert "which is not published: its days run again" in printed
    assert "of 40 rejected lines 30 moved: 30 to events, 0 are duplicates; still rejected: 10 missing_user" in printed
    [counts] = here.ask("SELECT count(*) AS events FROM events")
    assert counts["events"] == 90
    assert "by the release of 2026-03-01" in here.do("explain", "day", DAY)
    gone = here.call("rejects", "list", "--unpublished")
    assert gone.returncode == 1 and "no run is unpublished" in gone.stderr
