"""Landing by one process at a time, landing of lost lines once more, and faults of the machine."""

import errno
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import ServiceUnavailableError

from pipeline.errors import InputError, ThroughlineError, describe, exit_with_message, is_fault_of_machine
from pipeline.files import keep_private, locked, write_whole
from pipeline.landing import staging
from pipeline.landing.arrival import land_events
from pipeline.landing.landed_days import drop_day, move_day
from pipeline.landing.locks import landing_stopped, source_locked
from pipeline.landing.remains import remove_remains
from pipeline.landing.staging import StagedFile, stage_files
from pipeline.landing.zone import LandingZone
from pipeline.settings import Settings
from pipeline.sources.schema import Source

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
SOURCE = Source.model_validate(
    {
        "name": "web", "reader": {"format": "csv", "columns": ["user", "at"]}, "event_types": {"view": {"as": "view"}},
        "columns": {"user_id": "user", "event_at": "to_timestamp(at)", "event_type": "'view'"},
    }
)  # fmt: skip


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


def stage(zone: LandingZone, folder: Path, logs: dict[str, str], is_again: bool = False) -> list[StagedFile]:
    for name, text in logs.items():
        (folder / name).write_text(text)
    files = [folder / name for name in logs]
    return stage_files(files, zone, "web", SOURCE.reader, folder / "staging", is_again)


def land(zone: LandingZone, staged: list[StagedFile], day: date, folder: Path) -> None:
    land_events(None, zone, SOURCE, staged, day, folder / "staging")  # type: ignore[arg-type]
    for one in staged:
        zone.remember("web", one.sha256, one.landed)


def lines(zone: LandingZone) -> list[tuple[str, int, str]]:
    found = [
        (row["file"], row["line"], row["text"])
        for day in zone.days("web")
        for file in zone.day_folder("web", day).glob("*.parquet")
        for row in pq.read_table(file, partitioning=None).to_pylist()
    ]
    return sorted(found)


LOGS = {"a.csv": "u,1\nv,2\n", "b.csv": "w,3\n", "c.csv": "x,4\ny,5\nz,6\n"}


@pytest.mark.parametrize("again", [["a.csv"], ["a.csv", "b.csv"], ["a.csv", "b.csv", "c.csv"]], ids=len)
def test_lost_lines_land_again_and_none_doubles(zone: LandingZone, tmp_path: Path, again: list[str]) -> None:
    """a and b landed together, in one file of lines; c on another day. The first day and a line of c are lost."""
    land(zone, stage(zone, tmp_path, {name: LOGS[name] for name in ("a.csv", "b.csv")}), MONDAY, tmp_path)
    land(zone, stage(zone, tmp_path, {"c.csv": LOGS["c.csv"]}), TUESDAY, tmp_path)
    before = lines(zone)
    for file in zone.day_folder("web", MONDAY).glob("*.parquet"):
        file.unlink()
    [file] = zone.day_folder("web", TUESDAY).glob("*.parquet")
    pq.write_table(pq.read_table(file, partitioning=None).slice(0, 2), file)
    with pytest.raises(InputError, match=r"landed already, as a\.csv .* if landed lines were lost, use --again"):
        stage(zone, tmp_path, {"a.csv": LOGS["a.csv"]})
    staged = stage(zone, tmp_path, {name: LOGS[name] for name in again}, is_again=True)
    remove_remains(zone, "web", {one.name: one.lines for one in staged})
    land(zone, staged, MONDAY, tmp_path)
    left = {("c.csv", 1), ("c.csv", 2)}
    assert lines(zone) == [one for one in before if one[0] in again or one[:2] in left]
    assert sum(day.lines for day in zone.days("web").values()) == len(lines(zone))


def test_a_file_whose_lines_are_there_does_not_land_again(zone: LandingZone, tmp_path: Path) -> None:
    land(zone, stage(zone, tmp_path, LOGS), MONDAY, tmp_path)
    before = lines(zone)
    staged = stage(zone, tmp_path, LOGS, is_again=True)
    with pytest.raises(InputError, match=r"a\.csv: none of its 2 landed lines is lost: nothing was done"):
        remove_remains(zone, "web", {one.name: one.lines for one in staged})
    assert lines(zone) == before


HOLDER = """
import sys, time
from pathlib import Path
from pipeline.files import locked
with locked(Path(sys.argv[1]), "landing files of web", 1):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_landing_waits_for_the_first_or_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "staging" / "web.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(file)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "locked\n"
        expected = "after waiting 1 s for landing files of web: try again"
        with pytest.raises(ThroughlineError, match=expected) as raised, locked(file, "landing files of web", 1):
            pass
        assert raised.value.exit_code == 3
        assert capsys.readouterr().out == "waiting for another process to end landing files of web\n"
        other.kill()
    started = time.monotonic()
    with locked(file, "landing files of web", 1):
        assert time.monotonic() - started < 1, "a lock ends with its process"


LANDING = """
import sys, time
from pathlib import Path
from pipeline.landing.locks import source_locked
from pipeline.settings import Settings
with source_locked(Settings(home=Path(sys.argv[1])), "shop"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_backup_waits_for_the_first_landing_of_a_source_and_other_sources_do_not(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, lease_wait_seconds=1)
    with subprocess.Popen([sys.executable, "-c", LANDING, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "locked\n"
        with source_locked(settings, "web"):
            pass
        with pytest.raises(ThroughlineError, match=r"landing\.lock"), landing_stopped(settings):
            pass
        other.kill()
    with (
        landing_stopped(settings),
        pytest.raises(ThroughlineError, match=r"landing\.lock"),
        source_locked(settings, "new"),
    ):
        pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_is_no_fault_of_the_log(
    zone: LandingZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, "No space left on device")

    monkeypatch.setattr(staging, "_copy_lines", full)
    with pytest.raises(SystemExit) as ended, exit_with_message():
        stage(zone, tmp_path, {"a.csv": LOGS["a.csv"]})
    printed = capsys.readouterr().err
    assert ended.value.code == 3 and printed.count("\n") == 1
    assert (
        "No space left on device; is a disk full, or a database or catalog down?" in printed
        and "cannot be read" not in printed
    )


def test_an_unreadable_log_is_a_fault_of_the_log(zone: LandingZone, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"\x1f\x8b\x08 no gzip")
    with pytest.raises(InputError, match="cannot be read"):
        stage_files([tmp_path / "a.csv.gz"], zone, "web", SOURCE.reader, tmp_path / "staging")


PY4J = """An error occurred while calling o1597.overwrite.
: org.apache.spark.SparkException: Writing job aborted
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.writingJobAbortedError(QueryExecutionErrors.scala:767)
Caused by: org.apache.iceberg.exceptions.RuntimeIOException: Failed to close
Caused by: java.io.IOException: No space left on device
\t... 24 more"""


def test_an_error_of_spark_is_told_by_its_root_cause() -> None:
    assert describe(Exception(PY4J)).startswith(
        "Exception: java.io.IOException: No space left on device; is a disk full"
    )
    assert describe(Exception(PY4J.splitlines()[0] + "\n: java.lang.Oops: x")) == "Exception: java.lang.Oops: x"
    assert is_fault_of_machine(psycopg.OperationalError("connection failed")) and not is_fault_of_machine(KeyError("a"))
    assert describe(KeyError("a")) == "KeyError: 'a'" and describe(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailableError("ServiceUnavailableException: the catalog is down"),
        Exception(
            "An error occurred while calling o1.append.\n: org.apache.iceberg.exceptions.CommitStateUnknownException\n"
            "Caused by: org.apache.iceberg.exceptions.ServiceFailureException: Server error: the catalog is down"
        ),
    ],
    ids=["PyIceberg", "Spark"],
)
def test_a_catalog_that_answers_503_is_a_fault_of_the_machine(error: Exception) -> None:
    assert is_fault_of_machine(error)
    assert describe(error).endswith(
        "the catalog is down; is a disk full, or a database or catalog down? `throughline doctor` says; then run the "
        "command again"
    )


def test_what_lands_is_for_its_owner_alone(zone: LandingZone, tmp_path: Path) -> None:
    zone.root.mkdir(mode=0o755)
    former = os.umask(0o022)
    try:
        keep_private(zone.root)
        land(zone, stage(zone, tmp_path, LOGS), MONDAY, tmp_path)
    finally:
        os.umask(former)
    modes = {path: path.stat().st_mode & 0o077 for path in (zone.root, *zone.root.rglob("*"))}
    assert len(modes) > 5 and set(modes.values()) == {0}


def test_a_landed_day_is_dropped_or_moved(zone: LandingZone, tmp_path: Path) -> None:
    """Two files land on both days; those of Monday move to Tuesday, where they keep file and line."""
    for day, name in ((MONDAY, "a"), (TUESDAY, "b")):
        land(zone, stage(zone, tmp_path, {name: f"{name},1\n{name},2\n"}), day, tmp_path)
    write_whole(zone.root / "web" / "source.toml", "")
    landed = lines(zone)
    with pytest.raises(InputError, match="no source 'tv' has landed: landed are web"):
        drop_day(zone, "tv", MONDAY)
    with pytest.raises(InputError, match="no lines of web have landed on 1990-01-01: they have on 2026-01-05 to 2026"):
        drop_day(zone, "web", date(1990, 1, 1))
    with pytest.raises(InputError, match="expected another one"):
        move_day(zone, "web", MONDAY, MONDAY)
    before = zone.days("web")
    assert move_day(zone, "web", MONDAY, TUESDAY).lines == 2
    moved = zone.days("web")
    assert {day: one.lines for day, one in moved.items()} == {MONDAY: 0, TUESDAY: 4}
    assert all(moved[day].sha256 != before[day].sha256 for day in (MONDAY, TUESDAY))
    assert lines(zone) == landed
    assert drop_day(zone, "web", TUESDAY).lines == 4
    assert lines(zone) == [] and zone.days("web")[TUESDAY].lines == 0
    staged = stage(zone, tmp_path, {"a": "a,1\na,2\n"}, is_again=True)
    remove_remains(zone, "web", {one.name: one.lines for one in staged})
    land(zone, staged, MONDAY, tmp_path)
    assert lines(zone) == landed[:2]
