"""To which arrival days a landed catalogue applies."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.landing.arrival import land_items
from pipeline.landing.formats import LINES
from pipeline.landing.staging import StagedFile
from pipeline.landing.zone import LandingZone
from pipeline.transforms.items import catalogues_of


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    """A source `web` that has landed two days."""
    zone = LandingZone(tmp_path / "landing")
    (zone.root / "web").mkdir(parents=True)
    (zone.root / "web" / "source.toml").write_text("""
name = "web"
[reader]
format = "csv"
columns = ["user", "at"]
[columns]
user_id = "user"
event_at = "to_timestamp(at)"
event_type = "'view'"
[event_types.view]
as = "view"
""")
    for day in (3, 5):
        zone.day_folder("web", date(2026, 1, day)).mkdir(parents=True)
        zone.close_day("web", date(2026, 1, day))
    return zone


def land(zone: LandingZone, name: str, days: list[int], arrival_day: date | None = None) -> date | None:
    lines_file = zone.root.parent / f"{name}.parquet"
    lines_file.write_bytes(b"")
    staged = StagedFile(Path(name), name, name * 64, 1, lines_file)
    return land_items(zone, "web", [staged], [date(2026, 1, day) for day in days], arrival_day)


def names(zone: LandingZone) -> list[str]:
    return [f"{file.name[:8]}{file.name.removesuffix('.parquet')[23:]}" for file in zone.catalogue_files("web")]


def test_a_later_catalogue_changes_no_earlier_day(zone: LandingZone) -> None:
    assert land(zone, "a", [3, 5]) is None, "the first one applies to all days"
    assert land(zone, "b", [5]) == date(2026, 1, 5), "with its log"
    assert land(zone, "c", []) == date(2026, 1, 6), "alone: from the next day on"
    assert land(zone, "d", [5], date(2026, 1, 4)) == date(2026, 1, 4)
    assert names(zone) == [
        "000000-a",
        "000001-b-from-2026-01-05",
        "000002-c-from-2026-01-06",
        "000003-d-from-2026-01-04",
    ]


def test_a_catalogue_before_any_log_applies_to_all_days(tmp_path: Path) -> None:
    zone = LandingZone(tmp_path / "landing")
    assert [land(zone, name, []) for name in ("a", "b")] == [None, None]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (None, ["000000-a", "000001-b", "000002-c"]),
        (date(2026, 1, 4), ["000000-a", "000001-b-from-2026-01-04", "000002-c-from-2026-01-04"]),
        (date(2026, 1, 6), ["000000-a", "000001-b-from-2026-01-05", "000002-c-from-2026-01-06"]),
    ],
)
def test_a_replay_applies_them_earlier_once_it_is_published(
    zone: LandingZone, first: date | None, expected: list[str]
) -> None:
    for name, days in (("a", [3]), ("b", [5]), ("c", [])):
        land(zone, name, days)
    before = names(zone)
    zone.replay_items("web", first, "items_1")
    of_runs = {run: LandingZone(zone.root, run).items_replayed_from("web") for run in (None, "items_1", "night_1")}
    assert of_runs == {None: None, "items_1": first or date.min, "night_1": None}
    assert names(zone) == before
    LandingZone(zone.root, "items_1").take_over_replaced()
    assert names(zone) == expected
    assert zone.replaced_files("web") == []


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (None, ["0001-01-01", "2026-01-05"]),
        (date.min, ["0001-01-01", "0001-01-01"]),
        (date(2026, 1, 4), ["0001-01-01", "2026-01-04"]),
        (date(2026, 1, 6), ["0001-01-01", "2026-01-05"]),
    ],
)
def test_a_run_reads_from_when_on_a_catalogue_applies(
    spark, zone: LandingZone, first: date | None, expected: list[str]
) -> None:
    toml = zone.root / "web" / "source.toml"
    items = '[items]\nfiles = "c*"\nitem_id = "id"\n[items.reader]\nformat = "csv"\ncolumns = ["id"]\n'
    toml.write_text(toml.read_text() + items)
    for name, days in (("a", [3]), ("b", [5])):
        land(zone, name, days)
    for number, file in enumerate(zone.catalogue_files("web")):
        lines = [{"file": "c", "line": 1, "text": f"item-{number}", "header": None}]
        pq.write_table(pa.Table.from_pylist(lines, schema=LINES), file)
    if first:
        zone.replay_items("web", first, "items_1")
    records = catalogues_of(spark, LandingZone(zone.root, "items_1"))["web"]
    found = records.orderBy("item_id").selectExpr("CAST(applies_from AS STRING) AS day").collect()
    assert [row.day for row in found] == expected
