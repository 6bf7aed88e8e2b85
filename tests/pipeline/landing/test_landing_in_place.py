"""Files that land where a collector wrote them: the same lines as of a copy, and what changes them."""

import gzip
import io
import os
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pipeline import cli_source
from pipeline.backup.make import not_covered
from pipeline.erasure.landed_lines import PLACES, remove_lines, remove_texts
from pipeline.erasure.receipt import HOLDS, IN_PLACE, CopyElsewhere, logs_in_place
from pipeline.errors import InputError, UsageError
from pipeline.jobs.land import land, land_in_place
from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.in_place import SUFFIX, read_entry
from pipeline.landing.landed_days import drop_day, move_day
from pipeline.landing.line_texts import read_texts
from pipeline.landing.zone import LandingZone
from pipeline.settings import Settings
from pipeline.transforms.parse import landed_lines

MONDAY, TUESDAY, FRIDAY = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 9)
TOML = """
name = "web"
files = "*.gz"
[reader]
format = "csv"
header = true
columns = ["user", "at"]
[columns]
user_id = "user"
event_at = "to_timestamp(at)"
event_type = "'view'"
[event_types.view]
as = "view"
"""
ROWS = {
    MONDAY: ["u-1,2026-01-05T10:00:00Z", "", "u-2,soon", "caf\\xe9,2026-01-05T11:00:00Z"],
    TUESDAY: ["u-2,2026-01-06T10:00:00Z"],
}


@pytest.fixture
def root(store: Path) -> Path:
    """A folder in which a collector has written two days."""
    for day, rows in ROWS.items():
        write(store / "logs" / f"dt={day}" / "part-0.gz", rows)
    return store


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "web.toml"
    file.write_text(TOML)
    return file


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Spark checks the expressions of the TOML."""
    for name in ("check_expressions", "check_items"):
        monkeypatch.setattr(f"pipeline.jobs.land.{name}", lambda *_: None)


@pytest.fixture
def zone(root: Path, toml: Path, unchecked: None) -> LandingZone:
    """A zone in which both days have landed in place."""
    made = LandingZone(root / "landing")
    land_in_place(ANY, made, toml, [root / "logs"], None)
    return made


ANY: Any = None  # for a session that no test uses


def write(file: Path, rows: list[str]) -> None:
    if isinstance(file, Path):
        file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{row}\n" for row in ["user,at", *rows])
    with file.open("wb") as target:
        target.write(gzip.compress(text.encode("latin-1"), mtime=0))


def places(*lines: int, name: str = "part-0.gz") -> pa.Table:
    rows = [{"source": "web", "arrival_day": MONDAY, "file": name, "line": line} for line in lines]
    return pa.Table.from_pylist(rows, schema=PLACES)


def counts(zone: LandingZone) -> dict[date, tuple[int, int]]:
    return {day: (one.lines, one.in_place) for day, one in zone.days("web").items()}


def texts(zone: LandingZone, day: date = MONDAY) -> list[str | None]:
    found = [read_texts(zone, [("web", day, "part-0.gz", line)]) for line in range(1, 7)]
    return [text for one in found for text in one.values()]


def test_days_are_registered_and_nothing_is_copied(zone: LandingZone, root: Path, toml: Path, capsys: Any) -> None:
    assert counts(zone) == {MONDAY: (4, 4), TUESDAY: (1, 1)}
    assert not list(zone.root.rglob("*.parquet"))
    assert {one.name for one in zone.landed_files("web").values()} == {
        "part-0.gz",
        next(one.name for one in zone.files_in_place("web", TUESDAY)),
    }
    assert texts(zone) == ["u-1,2026-01-05T10:00:00Z", "", "u-2,soon", "caf\\xe9,2026-01-05T11:00:00Z"]
    drop_day(zone, "web", TUESDAY)
    land_in_place(ANY, zone, toml, [root / "logs" / f"dt={TUESDAY}"], None, is_again=True)
    assert "landed 1 lines of 1 files in place on 1 arrival days (2026-01-06)" in capsys.readouterr().out


def test_the_same_bytes_land_once_in_place_or_copied(zone: LandingZone, root: Path, toml: Path) -> None:
    with pytest.raises(InputError, match=r"the same bytes landed already, as part-0\.gz \(4 lines\)"):
        land_in_place(ANY, zone, toml, [root / "logs" / f"dt={MONDAY}"], None)
    with pytest.raises(InputError, match="none of its 4 landed lines is lost"):
        land_in_place(ANY, zone, toml, [root / "logs" / f"dt={MONDAY}"], None, is_again=True)
    before = counts(zone)
    assert drop_day(zone, "web", MONDAY).in_place == 4
    land_in_place(ANY, zone, toml, [root / "logs" / f"dt={MONDAY}"], None, is_again=True)
    assert counts(zone) == before


def test_a_day_moves_and_drops_without_its_file(zone: LandingZone, root: Path) -> None:
    move_day(zone, "web", MONDAY, FRIDAY)
    assert counts(zone) == {MONDAY: (0, 0), TUESDAY: (1, 1), FRIDAY: (4, 4)}
    assert texts(zone, FRIDAY)[0] == "u-1,2026-01-05T10:00:00Z"
    drop_day(zone, "web", FRIDAY)
    assert counts(zone)[FRIDAY] == (0, 0) and (root / "logs" / f"dt={MONDAY}" / "part-0.gz").is_file()


@pytest.mark.parametrize("change", ["longer", "same size", "gone"])
def test_a_file_that_is_not_what_landed_is_named(zone: LandingZone, root: Path, change: str) -> None:
    file = root / "logs" / f"dt={MONDAY}" / "part-0.gz"
    if change == "gone":
        file.unlink()
    elif change == "longer":
        write(file, [*ROWS[MONDAY], "u-9,2026-01-05T23:00:00Z"])
    else:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(bytes(content))
    found = {"longer": r"found \d+ bytes", "same size": "found sha256 ", "gone": "found no such file"}[change]
    with pytest.raises(InputError, match=rf"part-0\.gz: it landed in place and is not what it was: {found}"):
        texts(zone)


def test_erased_lines_are_left_out_and_the_file_is_named(zone: LandingZone, root: Path) -> None:
    before, noted = zone.days("web")[MONDAY], []
    assert remove_texts(zone, places(5)) == 1 and remove_texts(zone, places(5)) == 0
    assert zone.days("web")[MONDAY] == before
    assert texts(zone)[-1] is None
    assert remove_lines(zone, places(2, 4), noted.append) == 2
    assert remove_lines(zone, places(2, 4), noted.append) == 0 and len(noted) == 1
    after = zone.days("web")[MONDAY]
    assert (after.lines, after.in_place, after.sha256) == (2, 2, before.sha256)
    assert texts(zone) == ["", None]
    [entry] = noted
    assert entry.suffix == SUFFIX and read_entry(entry).lines == 4
    file = root / "logs" / f"dt={MONDAY}" / "part-0.gz"
    assert logs_in_place([str(entry)]) == [CopyElsewhere(IN_PLACE, str(file), read_entry(entry).landed_at, HOLDS)]


def test_what_cannot_land_in_place_is_refused(tmp_path: Path, toml: Path, unchecked: None) -> None:
    zone = LandingZone(tmp_path / "landing")
    write(tmp_path / "today" / "a.gz", ["u,v"])
    for folder in ("today", "dt=2026-13-45"):
        write(tmp_path / folder / "a.gz", ["u,v"])
        with pytest.raises(UsageError, match="no folder of its path names a day, as dt=2026-01-31 does"):
            land_in_place(ANY, zone, toml, [tmp_path / folder], None)
    land_in_place(ANY, zone, toml, [tmp_path / "today"], MONDAY)
    assert counts(zone) == {MONDAY: (1, 1)}
    toml.write_text(
        TOML + '[items]\nfiles = "items*"\nitem_id = "user"\n[items.reader]\nformat = "jsonl"\nfields = "user STRING"\n'
    )
    write(tmp_path / f"dt={MONDAY}" / "items.gz", ["u,v"])
    with pytest.raises(InputError, match="is a catalogue, which cannot land in place: leave out --in-place"):
        land_in_place(ANY, zone, toml, [tmp_path / f"dt={MONDAY}"], None)


def test_commands_say_what_lies_in_place(zone: LandingZone, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=Path("/nowhere"), landing=str(zone.root))
    console = Console(file=io.StringIO(), width=100)
    monkeypatch.setattr(cli_source, "load_settings", lambda: settings)
    monkeypatch.setattr(cli_source, "console", console)
    cli_source.list_days()
    assert "4 in place" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "the files of 5 lines that landed in place: back them up where they lie" in not_covered(settings)


def test_spark_reads_the_same_lines_as_of_a_copy(spark: Any, root: Path, toml: Path, tmp_path: Path) -> None:
    """Also where a day has lines of both kinds."""
    # Spark started before the server of the test.
    spark.sparkContext.environment.update({name: one for name, one in os.environ.items() if name.startswith("AWS_")})
    rows = {}
    for name, in_place in (("copied", []), ("in place", [MONDAY, TUESDAY]), ("both", [MONDAY])):
        zone = LandingZone(tmp_path / name)
        for day in ROWS:
            log = [root / "logs" / f"dt={day}"]
            if day in in_place:
                land_in_place(spark, zone, toml, log, None)
            elif isinstance(log[0], Path):
                land(spark, zone, tmp_path / "staging", toml, log, day)
            else:
                local = tmp_path / "fetched" / f"dt={day}" / "part-0.gz"
                write(local, ROWS[day])
                land(spark, zone, tmp_path / "staging", toml, [local], day)
        lines = landed_lines(spark, zone, CleanPlan(list(zone.days("web").values()), []))["web"]
        rows[name] = sorted(lines.select(sorted(lines.columns)).toArrow().to_pylist(), key=str)
    assert len(rows["copied"]) == 5 and rows["in place"] == rows["copied"] == rows["both"]


def test_rows_of_parquet_land_in_place(root: Path, tmp_path: Path, unchecked: None) -> None:
    toml = tmp_path / "rows.toml"
    fields = 'format = "parquet"\nfields = "user STRING, at STRING"'
    of_rows = TOML.replace('format = "csv"\nheader = true\ncolumns = ["user", "at"]', fields)
    toml.write_text(of_rows.replace(".gz", ".parquet"))
    file = root / "rows" / f"dt={MONDAY}" / "part-0.parquet"
    if isinstance(file, Path):
        file.parent.mkdir(parents=True)
    with file.open("wb") as target:
        pq.write_table(pa.table({"user": ["u", "v"], "at": ["1", "2"]}), target)
    zone = LandingZone(root / "landing")
    land_in_place(ANY, zone, toml, [root / "rows"], None)
    place = ("web", MONDAY, "part-0.parquet", 2)
    assert read_texts(zone, [place]) == {place: '{"user": "v", "at": "2"}'}
