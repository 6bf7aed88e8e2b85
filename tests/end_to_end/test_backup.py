"""A home of four tiny days, in a folder with an odd name, is backed up and restored under another path and port.

The original is gone while the restored home is tried. Then both run the last day, and have the same tables.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.copies import known_copies
from tests.bench.tiny_log import USERS, days_from, write_tiny_log

pytestmark = pytest.mark.end_to_end

DAYS = [str(day) for day in days_from(date(2026, 1, 5), 4)]


@pytest.fixture(scope="module")
def original(oddly_named_installation: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A home with two releases; its fourth day has landed and waits."""
    folder = tmp_path_factory.mktemp("log")
    write_tiny_log(folder, map(date.fromisoformat, DAYS))
    made = oddly_named_installation
    made.do_all(
        [
            ["land", "--source", "demo", folder],
            ["run", "--from", DAYS[0], "--to", DAYS[1]],
            ["run", "--day", DAYS[2]],
        ]
    )
    return made


@pytest.fixture(scope="module")
def backup(original: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup, made after another one was refused."""
    folder = tmp_path_factory.mktemp("backup") / "of the shop"
    refused = original.call("backup", "--to", original.home / "inside")
    assert refused.returncode == 2 and "name a folder elsewhere" in refused.stderr
    printed = original.do("backup", "--to", folder)
    assert "10 tables in" in printed and "not in it: the pseudonym key" in printed
    return folder


@pytest.fixture
def restored(bare_installation: Any, backup: Path, original: Any) -> Iterator[Any]:
    """The home of the backup at another place, while the original has been moved away."""
    home = bare_installation.home.with_name("ein neuer Ort") / "für den Shop"
    shared = {"THROUGHLINE_ENGINE_HOME": original.environment["THROUGHLINE_ENGINE_HOME"]}
    variables = {**bare_installation.environment, **shared, "THROUGHLINE_HOME": str(home)}
    made = replace(bare_installation, home=home, environment=variables)
    home.mkdir(parents=True)
    (home / "jars").symlink_to((original.home / "jars").resolve())
    original.do("down")
    away = original.home.rename(original.home.with_name("moved away"))
    try:
        without_key = made.call("restore", backup, "--home", home)
        assert without_key.returncode == 2 and "a backup does not hold the pseudonym key" in without_key.stderr
        assert [one.name for one in home.iterdir()] == ["jars"]
        assert "there and whole" in made.do("restore", backup, "--home", home, "--key", away / "pseudonym.key")
        yield made
        made.do("down")
    finally:
        if away.is_dir():
            away.rename(original.home)


def test_a_backup_holds_no_key_and_only_its_owner_reads_it(original: Any, backup: Path) -> None:
    key = (original.home / "pseudonym.key").read_bytes()
    files = [file for file in backup.rglob("*") if file.is_file()]
    assert len(files) > 50
    assert not [file for file in files if key in file.read_bytes() or file.stat().st_mode & 0o077]
    assert not backup.stat().st_mode & 0o077


def test_the_restored_home_has_the_releases_and_goes_on_like_the_original(
    original: Any, restored: Any, backup: Path
) -> None:
    kept = original.home.with_name("moved away")
    moved = replace(original, home=kept, environment={**original.environment, "THROUGHLINE_HOME": str(kept)})
    for refused in (moved.call("query", "SELECT 1"), moved.call("run", "--day", DAYS[3]), moved.call("down")):
        assert refused.returncode == 1
        assert f"was moved or copied from {original.home}" in refused.stderr and "throughline restore" in refused.stderr
    assert not any(str(original.home).encode() in file.read_bytes() for file in restored.home.rglob("*.json"))
    # An erasure in either home has to name the backup.
    assert [copy.path for home in (moved, restored) for copy in known_copies(home.home)] == [str(backup)] * 2
    releases = "SELECT as_of, number, run_id, snapshots FROM releases ORDER BY number"
    of_days = {day: restored.do("fingerprint", "events", "--as-of", day) for day in DAYS[1:3]}
    of_release, listed = restored.fingerprints(), restored.ask(releases)
    assert len(set(of_days.values())) == len(listed) == 2
    restored.do("run", "--day", DAYS[3])
    kept.rename(original.home)
    original.do("setup")
    assert original.fingerprints() == of_release and original.ask(releases) == listed
    assert {day: original.do("fingerprint", "events", "--as-of", day) for day in DAYS[1:3]} == of_days
    original.do("run", "--day", DAYS[3])
    assert restored.fingerprints() == original.fingerprints() != of_release
    profiles = "SELECT user_id, as_of, tag, affinity, rank FROM user_interests ORDER BY ALL"
    assert restored.ask(profiles) == original.ask(profiles) != []
    [items] = restored.ask("SELECT count(*) AS rows, count(DISTINCT item_id) AS items FROM items")
    assert items == {"rows": USERS, "items": USERS}
    damage_is_found(restored)


def damage_is_found(home: Any) -> None:
    assert "sessions: " in home.do("doctor", "--deep")
    folder = home.home / "warehouse" / "interest"
    lost, cut = [next((folder / name / "data").rglob("*.parquet")) for name in ("sessions", "profiles")]
    shutil.move(lost, lost.with_suffix(".gone"))
    cut.write_bytes(cut.read_bytes()[:-10])
    found = home.call("doctor", "--deep")
    printed = found.stdout.replace("\n", "")
    assert found.returncode == 3
    assert f"{lost} is missing" in printed and "is not whole: restore a backup" in printed
    assert f"{cut} has {cut.stat().st_size:,} bytes, expected {cut.stat().st_size + 10:,}" in printed
    again = home.call("backup", "--to", home.home.with_name("damaged"))
    assert again.returncode == 1 and "doctor --deep" in again.stderr
