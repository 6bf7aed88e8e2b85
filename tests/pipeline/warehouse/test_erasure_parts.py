"""Parts of an erasure that need no night: requests, landed lines, tombstones, manifests, and retention by age."""

import shlex
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import cli_erasure
from pipeline.copies import BACKUP, EXPORT, remember_copy
from pipeline.erasure import purge
from pipeline.erasure.journal import Journal, JournalFolder
from pipeline.erasure.landed_lines import PLACES, lines_of, remove_lines, remove_texts
from pipeline.erasure.plan import DayCount, People
from pipeline.erasure.purge import TableState
from pipeline.erasure.receipt import HOLDS, NONE, UNREAD, copies_elsewhere
from pipeline.erasure.request import read_request
from pipeline.erasure.search import files_with
from pipeline.erasure.tables import retrain_clusters
from pipeline.erasure.tombstones import REFUSED, bury, tombstones, with_erased
from pipeline.errors import InputError, UsageError
from pipeline.jobs.retain import retain
from pipeline.landing.formats import LINES
from pipeline.landing.zone import LandingZone
from pipeline.pseudonyms import pseudonym, pseudonym_key
from pipeline.settings import Settings
from pipeline.sources.schema import Source
from pipeline.transforms.canonical import WITHOUT_TEXT, canonical_lines, with_reason
from pipeline.transforms.rows import frame_of_rows
from pipeline.warehouse.clusters import place_items, train_version
from pipeline.warehouse.tables import create_tables, table
from pipeline.warehouse.writes import add_release

TOML = """
name = "web"
[reader]
format = "jsonl"
fields = "user STRING, device STRING, at STRING"
[columns]
user_id = "user"
device_id = "device"
event_at = "to_timestamp(at)"
event_type = "'view'"
[event_types.view]
as = "view"
"""
DAY = date(2026, 1, 5)
TEXTS = [
    '{"user": "u-1", "device": "d-9", "at": "2026-01-05 10:00:00"}',
    '{"user": "u-12", "device": "d-1", "at": "2026-01-05 10:00:00"}',
    '{"user": null, "device": "u-1", "at": "soon"}',
    '{"user": "u-1',
    '{"user": "u-12',
    '{"user": "u-2", "device": "d-2", "at": "2026-01-05 10:00:00"}',
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with six landed lines of a source and its key."""
    made = Settings(home=tmp_path / "home")
    pseudonym_key(made)
    zone = LandingZone(made.home / "landing")
    folder = zone.day_folder("web", DAY)
    folder.mkdir(parents=True)
    (zone.root / "web" / "source.toml").write_text(TOML)
    rows = [{"file": "a", "line": number, "text": text, "header": None} for number, text in enumerate(TEXTS, 1)]
    pq.write_table(pa.Table.from_pylist(rows, schema=LINES), folder / "batch.parquet")
    zone.close_day("web", DAY)
    return made


def request_of(settings: Settings, text: str, mode: int = 0o600) -> Path:
    file = settings.home / "request"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_request_is_read_without_its_ids_in_any_message(settings: Settings) -> None:
    found = read_request(settings, request_of(settings, "# October\n\n u-1 \n9001.0\n9001\n"), None)
    assert found.ids == ("9001", "u-1") and found.space == "web"
    assert found.pseudonyms[1] == pseudonym("web", "u-1", pseudonym_key(settings))
    again = read_request(settings, request_of(settings, "u-1\n9001\n"), "web")
    assert again.digest == found.digest != read_request(settings, request_of(settings, "u-1\n"), None).digest
    with pytest.raises(InputError, match=r"others may read the request.*chmod 600"):
        read_request(settings, request_of(settings, "u-1\n", 0o640), None)
    with pytest.raises(InputError, match="has no id: expected ids"):
        read_request(settings, request_of(settings, "# no id follows\n"), None)
    with pytest.raises(UsageError, match="no such request: expected a file of ids"):
        read_request(settings, settings.home / "u-1", None)


def test_lines_are_found_by_user_device_and_in_broken_lines_by_the_word(spark: Any, settings: Settings) -> None:
    request = read_request(settings, request_of(settings, "u-1\nd-1\n"), None)
    people = People(request.pseudonyms, request.pseudonyms)
    frames = people.user_frame(spark), people.device_frame(spark)
    found = lines_of(spark, settings, *frames, request).collect()
    assert sorted(row.line for row in found) == [1, 2, 3, 4]
    assert sorted(row.line for row in lines_of(spark, settings, *frames, None).collect()) == [1, 2, 3]


def test_landed_files_keep_name_and_digest_without_the_lines(settings: Settings) -> None:
    zone = LandingZone(settings.home / "landing")
    before = zone.days("web")[DAY]
    lines = (("a", 2), ("a", 5), ("b", 1))
    rows = [{"source": "web", "arrival_day": DAY, "file": file, "line": line} for file, line in lines]
    places = pa.Table.from_pylist(rows, schema=PLACES)
    assert remove_texts(zone, places) == 2 and remove_texts(zone, places) == 0
    assert zone.days("web")[DAY] == before
    [file] = zone.day_folder("web", DAY).glob("*.parquet")
    noted: list[Path] = []
    assert remove_lines(zone, places, noted.append) == 2 and noted == [file]
    assert remove_lines(zone, places, noted.append) == 0 and noted == [file]
    after = zone.days("web")[DAY]
    assert (after.lines, after.sha256) == (4, before.sha256)
    assert pq.ParquetFile(file).read()["line"].to_pylist() == [1, 3, 4, 6]


READERS = {
    "jsonl": {"format": "jsonl", "fields": "user STRING, at STRING"},
    "csv": {"format": "csv", "columns": ["user", "at"]},
    "csv with a header": {"format": "csv", "columns": ["user", "at"], "header": True},
    "tsv with comments": {"format": "tsv", "columns": ["user", "at"], "comment": "#"},
    "regex": {"format": "regex", "pattern": "(?<user>[a-z]+) (?<at>.*)"},
    "w3c": {"format": "w3c", "columns": ["user", "at"]},
}


@pytest.mark.parametrize("reader", READERS)
def test_a_line_without_its_text_stays_a_reject(spark: Any, reader: str) -> None:
    source = Source.model_validate(
        {"name": "web", "reader": READERS[reader], "event_types": {"view": {"as": "view"}},
         "columns": {"user_id": "user", "event_at": "to_timestamp(at)", "event_type": "'view'"}}
    )  # fmt: skip
    header = "#Fields: user at" if reader == "w3c" else "user,at" if "header" in reader else None
    columns = "source string, arrival_day date, file string, line long, text string, header string"
    lines = frame_of_rows(spark, [("web", DAY, "a", 1, None, header)], columns)
    [row] = with_reason(canonical_lines(lines, source), source.event_types, 1).collect()
    assert (row.reason, row.detail) == ("erased", WITHOUT_TEXT)


def test_tombstones_refuse_users_and_devices_and_say_nothing_of_them(spark: Any, settings: Settings) -> None:
    rows = [("u", "d"), ("u", None), ("v", "d"), ("v", "e"), ("e", "e"), (None, None)]
    found = frame_of_rows(
        spark,
        [(user, device, "unknown_event_type", "event type u") for user, device in rows],
        "user_id string, device_id string, reason string, detail string",
    )
    assert with_erased(found, settings) is found
    bury(settings, ["u", "e"], ["d"])
    bury(settings, ["u"], ["d"])
    refused = {(row.user_id, row.device_id): (row.reason, row.detail) for row in with_erased(found, settings).collect()}
    of_erased = {one for one, (reason, _) in refused.items() if reason == "erased"}
    assert of_erased == {("u", "d"), ("u", None), ("v", "d"), ("e", "e")}
    assert refused["u", "d"][1] == REFUSED and refused["v", "e"][1] == "event type u"
    assert sorted(kind for kind, _ in tombstones(settings)) == ["device", "user", "user"]
    assert {len(digest) for _, digest in tombstones(settings)} == {64}
    (settings.home / "erasure" / "tombstone.key").unlink()
    with pytest.raises(InputError, match=r"tombstone.key is missing, but tombstones exist: restore the key"):
        bury(settings, ["w"], [])


def test_no_manifest_keeps_the_bounds_of_a_deleted_file(iceberg: Any) -> None:
    """The only manifest of the table has a file of both users' rows and one of the first alone."""
    iceberg.sql("CREATE NAMESPACE interest")
    iceberg.sql(f"CREATE TABLE {table('events')} (day DATE, user_id STRING) USING iceberg PARTITIONED BY (day)")
    rows = [(DAY, "a" * 64), (DAY, "b" * 64), (DAY + timedelta(days=1), "a" * 64)]
    frame_of_rows(iceberg, rows, "day DATE, user_id STRING").coalesce(1).writeTo(table("events")).append()
    iceberg.sql(f"DELETE FROM {table('events')} WHERE day = DATE '{DAY + timedelta(days=1)}'")
    assert iceberg.table(f"{table('events')}.entries").where("status = 2").count() == 1
    purge.forget_old_entries(iceberg, ["events"])
    assert iceberg.table(f"{table('events')}.entries").where("status = 2").count() == 0
    assert iceberg.table(table("events")).count() == 2


def test_files_that_name_somebody_go_and_logs_lose_the_lines(tmp_path: Path) -> None:
    name, other = "a" * 64, "b" * 64
    for file in ("reports/user.html", "logs/x.log", "sql_history", "landing/web/a", "exports/p.csv"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"first\nWHERE user_id = '{name}'\nlast {other}\n")
    (tmp_path / "exports" / "q.csv").write_text(other)
    pq.write_table(pa.table({"user_id": [name]}), tmp_path / "exports" / "p.parquet", compression="zstd")
    noted: list[Path] = []
    purge.remove_mentions(tmp_path, {name.encode()}, noted.append)
    named = {"exports/p.csv", "exports/p.parquet", "logs/x.log", "reports/user.html", "sql_history"}
    assert {str(file.relative_to(tmp_path)) for file in noted} == named
    assert (tmp_path / "logs" / "x.log").read_text() == f"first\nlast {other}\n"
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {"logs/x.log", "sql_history", "landing/web/a", "exports/q.csv"}
    assert list(files_with(tmp_path, {name.encode()})) == []


def test_copies_outside_of_the_home_are_known_and_searched(tmp_path: Path) -> None:
    home, name = tmp_path / "home", "a" * 64
    home.mkdir()
    assert copies_elsewhere(home, {name.encode()}) == []
    for file, text in (("with.csv", f"user_id\n{name}\n"), ("without.csv", "user_id\n"), ("home/in.csv", name)):
        (tmp_path / file).write_text(text)
        remember_copy(home, EXPORT, tmp_path / file)
    (tmp_path / "backup").mkdir()
    remember_copy(home, BACKUP, tmp_path / "backup", "2026-01-05 10:00:00")
    remember_copy(home, BACKUP, tmp_path / "unmounted")
    remember_copy(home, EXPORT, tmp_path / "with.csv")
    (tmp_path / "cut.parquet").write_text("PAR1")
    remember_copy(home, EXPORT, tmp_path / "cut.parquet")
    found = copies_elsewhere(home, {name.encode()})
    assert {(one.what, Path(one.path).name, one.found) for one in found} == {
        (EXPORT, "with.csv", HOLDS),
        (EXPORT, "without.csv", NONE),
        (BACKUP, "backup", HOLDS),
        (BACKUP, "unmounted", UNREAD),
        (EXPORT, "cut.parquet", UNREAD),
    }
    assert len(found) == 5 and [one.made_at for one in found if one.path.endswith("backup")] == ["2026-01-05 10:00:00"]


def journal_of(settings: Settings) -> tuple[JournalFolder, Journal]:
    """Return the folder of a journal that has begun, and the journal."""
    state = TableState({"a.parquet": 7}, ["a.parquet", "old.parquet"], [1, 2])
    count = DayCount("web", DAY, "2026-01-06 00:00:00", 5, {"accepted": 4, "rejects": 1})
    journal = Journal("n", "d", 1, "2026-01-06 00:00:00", "me", "run", People(("u",), ("d",)), DAY, None, {"events": 1},
                      1, [count], {"events": state})  # fmt: skip
    folder = JournalFolder(settings)
    folder.begin(journal, PLACES.empty_table(), pa.table({"session_id": ["s"]}), pa.table({"item_id": ["i"]}))
    return folder, journal


def test_a_journal_is_read_back_and_a_file_that_is_noted_twice_counts_once(settings: Settings) -> None:
    folder, journal = journal_of(settings)
    assert JournalFolder(settings).read() == journal
    for kind, file, size in (("landed", "a", 9), ("working", "a", 3), ("landed", "a", 5), ("landed", "b", 1)):
        folder.note(kind, Path(file), size)
    again = JournalFolder(settings)
    assert again.noted("landed") == {"a": 9, "b": 1} and again.noted("working") == {"a": 3} and not again.noted("other")
    again.end()
    assert list((settings.home / "erasure").iterdir()) == [] and again.read() is None


def test_a_journal_of_another_version_is_refused(settings: Settings) -> None:
    folder, _ = journal_of(settings)
    file = settings.home / "erasure" / "journal.json"
    file.write_text(file.read_text().replace('"before"', '"files_before"'))
    with pytest.raises(InputError, match="another version of Throughline began: end it by that version, with --resume"):
        folder.read()


def test_retention_deletes_by_age_what_the_settings_name(iceberg: Any, settings: Settings, capsys: Any) -> None:
    """Ten days, of which the newest cleaned one is the last; four of rejects are kept, and all of the others."""
    create_tables(iceberg)
    days = [DAY + timedelta(days=number) for number in range(10)]
    rejects = [("web", day, "a", 1, 1, "unparsable", "") for day in days]
    frame_of_rows(iceberg, rejects, iceberg.table(table("rejects")).schema).writeTo(table("rejects")).append()
    run = ("clean", days[-1], "web", "run", 1, {"accepted": 1}, "", [], 1.0, datetime.now(UTC))
    frame_of_rows(iceberg, [run], iceberg.table(table("runs")).schema).writeTo(table("runs")).append()
    add_release(iceberg, days[-1], "run", {"rejects": 1}, "hash")

    retain(iceberg, settings, "off")
    assert "no days are limited" in capsys.readouterr().out
    limited = settings.model_copy(update={"keep_rejects_days": 4, "keep_profiles_days": 400})
    retain(iceberg, limited, "first")
    left = sorted(row.arrival_day for row in iceberg.table(table("rejects")).collect())
    assert left == days[-4:] and "rows deleted: rejects 6, profiles 0" in capsys.readouterr().out
    retain(iceberg, limited, "second")
    releases = iceberg.table(table("releases")).orderBy("published_at").collect()
    assert [row.run_id for row in releases] == ["run", "first"] and releases[-1].as_of == days[-1]
    [main] = iceberg.table(f"{table('rejects')}.refs").where("name = 'main'").collect()
    assert releases[-1].snapshots["rejects"] == main.snapshot_id

    later = settings.model_copy(update={"keep_landing_days": 30})
    iceberg.sql(f"UPDATE {table('runs')} SET day = DATE '{DAY + timedelta(days=29)}'")
    retain(iceberg, later, "third")
    zone = LandingZone(settings.home / "landing")
    assert zone.days("web")[DAY].lines == 6
    iceberg.sql(f"UPDATE {table('runs')} SET day = DATE '{DAY + timedelta(days=30)}'")
    retain(iceberg, later, "fourth")
    assert zone.days("web") == {} and zone.removed_before("web") == DAY + timedelta(days=1)


def test_the_command_starts_one_job_and_then_trains_if_asked(monkeypatch: Any, settings: Settings) -> None:
    started: list[str] = []
    newest = SimpleNamespace(as_of=DAY)
    monkeypatch.setattr(cli_erasure, "prepare_environment", lambda console: settings)
    monkeypatch.setattr(cli_erasure, "open_catalog", lambda console: None)
    monkeypatch.setattr("pipeline.analyst.release.newest_release", lambda catalog, as_of: newest)
    monkeypatch.setattr(
        cli_erasure,
        "run_all",
        lambda commands, *more: started.extend(shlex.join(one.arguments[1:]) for one in commands),
    )
    file = request_of(settings, "u-1\n")
    of_request = f"-m pipeline.jobs erase --request {file}"
    for words, expected in (
        (["--request", str(file)], [of_request]),
        (["--request", str(file), "--source", "web", "--dry-run", "--retrain"],
         [f"{of_request} --source web --dry-run"]),
        (["--resume", "--retrain"], ["-m pipeline.jobs erase --resume",
                                     "-m model train --through 2026-01-05 --run-id training_20260105"]),
    ):  # fmt: skip
        started.clear()
        cli_erasure.app(["erase", *words], standalone_mode=False)
        assert started == expected
    for words in ([], ["--resume", "--request", str(file)]):
        with pytest.raises(UsageError, match="name a request with --request FILE, or use --resume alone"):
            cli_erasure.app(["erase", *words], standalone_mode=False)


def test_item_clusters_are_trained_again_through_the_same_day(iceberg: Any) -> None:
    """Two groups of items that share sessions; one user's sessions join them, and go."""
    create_tables(iceberg)
    source = Source.model_validate(
        {"name": "web", "reader": {"format": "csv", "columns": ["user", "at", "item"]},
         "columns": {"user_id": "user", "event_at": "to_timestamp(at)", "event_type": "'view'", "item_id": "item"},
         "event_types": {"view": {"as": "view"}}, "clusters": {"count": 2, "least_sessions": 2}}
    )  # fmt: skip
    at = datetime(2026, 1, 5, 12)
    schema = iceberg.table(table("sessions")).schema

    def session(number: int, user: str, items: list[str]) -> tuple[Any, ...]:
        events = [(at, None, DAY, "a", number, 1, f"e{number}", "view", "web", item, []) for item in items]
        return (f"s{number}", "web", user, None, DAY, at, at, at, 0.0, len(items), events, [], False, True, "gap")

    groups = ["abcd", "wxyz"]
    stay = [session(n, f"u{n}", [*groups[n % 2][: 2 + n % 3]]) for n in range(24)]
    goes = [session(100 + n, "goes", ["a", "b", "w", "x"]) for n in range(30)]
    frame_of_rows(iceberg, [*stay, *goes], schema).coalesce(1).writeTo(table("sessions")).append()
    rows = [("web", item, n, None, [], [], None, None) for n, item in enumerate("abcdwxyz")]
    frame_of_rows(iceberg, rows, iceberg.table(table("items")).schema).writeTo(table("items")).append()
    other = ("clusters-1.20260105", "tv", 1, "x", "x", 0, 1.0, 2, DAY, DAY)
    clusters = table("item_clusters")
    frame_of_rows(iceberg, [other], iceberg.table(clusters).schema).writeTo(clusters).append()

    def of_web() -> list[Any]:
        return sorted(map(tuple, iceberg.table(clusters).where("source = 'web'").drop("item").collect()))

    train_version(iceberg, "web", source, DAY)
    with_all = of_web()
    iceberg.sql(f"DELETE FROM {table('sessions')} WHERE user_id = 'goes'")
    assert retrain_clusters(iceberg, {"web": source}, {"tv"}) == [] and of_web() == with_all
    assert retrain_clusters(iceberg, {"web": source}, {"web"}) == ["web"]
    again = of_web()
    assert again != with_all and iceberg.table(clusters).where("source = 'tv'").count() == 1
    iceberg.sql(f"DELETE FROM {clusters} WHERE source = 'web'")
    train_version(iceberg, "web", source, DAY)
    place_items(iceberg, "web", source, DAY, DAY)
    assert of_web() == again
