"""Erasure, on a home of its own and its twin, which never had the erased people.

Of 60 people twenty are erased: one with many events, one on a shared device, one only in rejects, one late, one whose
event another's id repeats, and a device that is in a copy of an event of somebody who stays. Rows of others depend on
erased lines from the third of four days on: rows of the first two days are deleted, and none is made again.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import psycopg
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline import copies
from pipeline.analyst.fingerprint import fingerprint
from pipeline.analyst.release import newest_release, read_table
from pipeline.erasure.search import rows_with
from pipeline.erasure.tombstones import REFUSED
from pipeline.landing.zone import LandingZone
from pipeline.local import postgres
from pipeline.settings import ROOT
from pipeline.sources.schema import source_file
from pipeline.warehouse.names import NIGHT_TABLES
from tests.end_to_end.search_home import files_with, places_of

pytestmark = pytest.mark.end_to_end

DAYS = [date(2026, 1, 5) + timedelta(days=number) for number in range(4)]
NEXT_DAY = DAYS[-1] + timedelta(days=1)
STAYING = [f"user-stays-{number:02d}" for number in range(40)]
ERASED = [f"user-goes-{number:02d}" for number in range(14)]
HEAVY, SHARED, REJECTED, LATE, COPIED = "user-heavy", "user-shared", "user-rejected", "user-late", "user-copied"
EVENTS_OF_HEAVY = 2000  # a day; a sequence keeps 512
DEVICE = "device-copied"  # the twentieth: a device
PEOPLE = [*ERASED, HEAVY, SHARED, REJECTED, LATE, COPIED]
REQUEST = [*PEOPLE, DEVICE]
# Each is where an erasure is killed: shortly after it prints this.
MOMENTS = ("to erase", "the erasure has begun", "later lines", "landing zone", "rows deleted", "rows of others made",
           "items made", "published", "old snapshots", "pages")  # fmt: skip


def event(at: datetime, event_id: str, user: str | None, device: str | None, item: str, **more: Any) -> dict[str, Any]:
    time = f"{at:%Y-%m-%dT%H:%M:%S}.000Z"
    made = {"id": event_id, "user": user, "device": device, "created": time, "sent": time, "received": time}
    return {**made, "type": "page_view", "item": item, "tags": [f"tag-{int(item[-2:]) % 7}"], **more}


def log_of_days() -> dict[date, list[str]]:
    """Return the lines of each arrival day."""
    random = np.random.default_rng(5)
    log: dict[date, list[dict[str, Any] | str]] = {day: [] for day in DAYS}
    for user in [*STAYING, *ERASED, HEAVY, SHARED, LATE, COPIED]:
        device = "device-of-two" if user in (SHARED, STAYING[0]) else f"device-{user}"
        for day in DAYS[2:] if user in (SHARED, COPIED) else DAYS:
            at = datetime(day.year, day.month, day.day, 8, tzinfo=UTC) + timedelta(minutes=int(random.integers(600)))
            for number in range(EVENTS_OF_HEAVY if user == HEAVY else int(random.integers(2, 8))):
                at += timedelta(seconds=int(random.integers(2, 14 if user == HEAVY else 90)))
                named = user if number else None  # the first event of each session is before log-in
                item = f"item-{int(random.integers(30)):02d}"
                log[day].append(event(at, f"id-{user}-{day}-{number}", named, device, item, dwell=str(number)))
    noon = [datetime(day.year, day.month, day.day, 12, tzinfo=UTC) for day in DAYS]
    only, first = "item-only-50", "item-first-60"
    log[DAYS[0]] += [event(noon[0], "id-only", ERASED[0], f"device-{ERASED[0]}", only)]
    log[DAYS[0]] += [event(noon[0], "id-first", ERASED[0], f"device-{ERASED[0]}", first)]
    log[DAYS[2]] += [event(noon[2], "id-second", STAYING[3], f"device-{STAYING[3]}", first)]
    for day, at in zip(DAYS, noon, strict=True):
        log[day] += [event(at, f"id-rejected-{day}", REJECTED, None, "item-01", type="teleport")]
        log[day] += [f'{{"id": "broken", "user": "{REJECTED}']
        log[day] += ['{"id": "broken", "user": "somebody']
    late = noon[0] + timedelta(minutes=3)
    log[DAYS[3]] += [{**event(late, "id-late", LATE, f"device-{LATE}", "item-02"), "received": f"{DAYS[3]}T12:00:00Z"}]
    # From here on rows of others depend on the erased ones: from the third day on.
    log[DAYS[2]] += [event(noon[2], "id-collision", COPIED, f"device-{COPIED}", "item-03")]
    log[DAYS[3]] += [event(noon[3], "id-collision", STAYING[4], f"device-{STAYING[4]}", "item-03")]
    bare = event(noon[2], "id-filled", STAYING[5], None, "item-04")
    log[DAYS[2]] += [bare]
    log[DAYS[3]] += [{**bare, "device": DEVICE, "dwell": "9", "received": f"{DAYS[3]}T12:00:00Z"}]
    return {day: [one if isinstance(one, str) else json.dumps(one) for one in lines] for day, lines in log.items()}


def is_of_erased(line: str) -> bool:
    """Return whether a line is one of those that have to go; of a shared device, lines without a user stay."""
    if any(f'"user": "{one}' in line for one in PEOPLE) or DEVICE in line:
        return True
    own = [f'"device": "device-{one}"' for one in PEOPLE]
    return '"user": null' in line and any(one in line for one in own)


def write_logs(folder: Path) -> None:
    for day, lines in log_of_days().items():
        (folder / f"events-{day}.jsonl").write_text("\n".join(lines) + "\n")


def remove_from_landing(home: Path) -> None:
    """Make a landing zone that never had the lines: the others keep their numbers."""
    zone = LandingZone(home / "landing")
    for day in DAYS:
        for file in zone.day_folder("shop", day).glob("*.parquet"):
            lines = pq.ParquetFile(file).read()
            pq.write_table(lines.filter([not is_of_erased(text) for text in lines["text"].to_pylist()]), file)
        zone.close_day("shop", day)


def fingerprints(home: Any, *more: str) -> dict[str, str]:
    catalog = home.catalog()
    release = newest_release(catalog, None)
    tables = {name: read_table(catalog, release, name)
              for name in ("events", "rejects", "items", "sessions", "sequences", "device_users", *more)}  # fmt: skip
    if "profiles" in more:
        tables["profiles"] = tables["profiles"].filter(pc.field("as_of") == NEXT_DAY)
    tables["rejects"] = tables["rejects"].filter(pc.field("reason") != "erased")
    return {name: fingerprint(rows, name) for name, rows in tables.items()}


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("source") / "shop.toml"
    demo = source_file("demo").read_text().replace('name = "demo"', 'name = "shop"')
    file.write_text(f"{demo}\n[devices]\njoin = true\n")
    return file


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    write_logs(folder)
    return folder


@pytest.fixture(scope="module")
def next_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of the day after the erasure, without lines of erased people."""
    noon = datetime(NEXT_DAY.year, NEXT_DAY.month, NEXT_DAY.day, 12, tzinfo=UTC)
    lines = [json.dumps(event(noon, f"id-next-{user}", user, f"device-{user}", "item-05")) for user in STAYING[1:]]
    file = tmp_path_factory.mktemp("next") / f"events-{NEXT_DAY}.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def twin(own_installation: Any, toml: Path, logs: Path, next_log: Path) -> dict[str, dict[str, str]]:
    """The fingerprints of a home that never had these people: on the last day, and on the day after."""
    home = own_installation
    home.do_all([["land", "--source", toml, logs]])
    remove_from_landing(home.home)
    home.do_all([["run", "--from", str(DAYS[0]), "--to", str(DAYS[-1])]])
    before = fingerprints(home)
    home.do_all([["land", "--source", toml, next_log], ["run", "--day", str(NEXT_DAY)]])
    return {"before": before, "after": fingerprints(home, "profiles")}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside of the home, for an export and a backup."""
    return tmp_path_factory.mktemp("outside")


@pytest.fixture(scope="module")
def home(another_module_installation: Any, toml: Path, logs: Path, outside: Path) -> Any:
    """A home with all people, a page and a log that name one of them, an export and a backup."""
    made = another_module_installation
    nights = [["run", "--from", str(DAYS[0]), "--to", str(DAYS[2])], ["run", "--day", str(DAYS[3])]]
    shown = [["explain", "user", "--html", ERASED[0]], ["export", "profiles", "--to", outside / "profiles.csv"]]
    made.do_all([["land", "--source", toml, logs], *nights, *shown, ["backup", "--to", outside / "backup"]])
    (made.home / "logs" / "query.log").write_text("first\n" + made.do("pseudonym", ERASED[0]) + "last\n")
    return made


def states_of_tables(home: Any) -> dict[str, tuple[dict[str, int], set[str], set[int]]]:
    """Return of each table the bytes of the data files of main, the data files of all snapshots, and the snapshots."""

    def files_of(of_table: Any, snapshot: Any) -> dict[str, int]:
        entries = [entry for one in snapshot.manifests(of_table.io) for entry in one.fetch_manifest_entry(of_table.io)]
        return {entry.data_file.file_path: entry.data_file.file_size_in_bytes for entry in entries}

    catalog, found = home.catalog(), {}
    for name in NIGHT_TABLES:
        of_table = catalog.load_table(("interest", name))
        by_snapshot = {one.snapshot_id: files_of(of_table, one) for one in of_table.metadata.snapshots}
        live = by_snapshot.get(of_table.metadata.current_snapshot_id, {})
        found[name] = (live, {file for files in by_snapshot.values() for file in files}, {*by_snapshot})
    return found


@contextmanager
def polled(home: Any, sql: str) -> Iterator[list[dict[str, Any]]]:
    """Ask a question again and again during the block; yield the list of answers.

    An answer may fail, since an erasure deletes the files of the release that it reads.
    """
    answers: list[dict[str, Any]] = []
    failures: list[Exception] = []
    has_ended = Event()

    def poll() -> None:
        while not has_ended.wait(2):
            try:
                answers.extend(home.ask(sql))
            except Exception as error:
                failures.append(error)

    thread = Thread(target=poll)
    thread.start()
    try:
        yield answers
    finally:
        has_ended.set()
        thread.join()
    assert len(failures) <= 2, failures


def test_twenty_people_go_as_if_they_had_never_been(
    home: Any, twin: dict[str, dict[str, str]], toml: Path, next_log: Path, outside: Path, tmp_path: Path
) -> None:
    owned = [f"device-{one}" for one in PEOPLE]
    pseudonyms = dict(zip([*REQUEST, *owned], home.do("pseudonym", *REQUEST, *owned).split(), strict=True))
    among = ", ".join(f"'{one}'" for one in pseudonyms.values())
    sessions = home.ask(f"SELECT session_id AS id FROM sessions WHERE user_id IN ({among})")
    hashes = [*pseudonyms.values(), *(row["id"] for row in sessions)]
    words = [*REQUEST, *owned, *hashes]
    url = postgres.url(home.settings())

    before = places_with_a_note(home, words, pseudonyms[HEAVY])
    for user in (*ERASED, HEAVY, SHARED, LATE, COPIED):
        assert "landing" in before[user]
        tables = {f"warehouse/{name}" for name in ("events", "sessions", "sequences", "profiles")}
        assert tables <= before[pseudonyms[user]], user
    assert before[REJECTED] == {"landing"}
    assert "postgres" in before[pseudonyms[HEAVY]]
    assert {"reports", "logs"} <= before[pseudonyms[ERASED[0]]] and any("bounds" in where for where in before.values())

    request = home.home / "requests" / "october"
    request.parent.mkdir()
    request.write_text("\n".join(REQUEST) + "\n")
    refused = home.call("erase", "--request", request)
    assert refused.returncode == 1 and "chmod 600" in refused.stderr
    request.chmod(0o600)
    printed = home.do("erase", "--request", request, "--dry-run")
    assert "rows of others depend on them" in printed and "nothing was changed" in printed
    assert not any(word in printed for word in words)

    expected = expected_receipt(home, hashes, among)
    tables_before = states_of_tables(home)
    rows = ("events", "sessions", "sequences", "profiles", "device_users")
    counts = [f"(SELECT count(*) FROM {name} WHERE user_id {of} IN ({among})) AS {name}_{of or 'gone'}"
              for name in rows for of in ("", "NOT")]  # fmt: skip
    question = f"SELECT {', '.join(counts)}"
    [with_them] = home.ask(question)
    with polled(home, question) as answers:
        for number, moment in enumerate(MOMENTS):
            kill_at(home, request, moment, 0.2 * (number % 4))
            if moment == "rows deleted":
                night = home.call("run", "--day", str(DAYS[3]))
                assert night.returncode == 1 and "erasure has begun" in night.stderr
        printed = home.do("erase", "--resume")
    assert "searched: 0 places" in printed and "erased; receipt: " in printed

    [without_them] = home.ask(question)
    assert {count for name, count in without_them.items() if name.endswith("_gone")} == {0}
    # A reader saw one release after the other, and no mixture of both.
    assert [answer for answer, _ in groupby(answers)] == [with_them, without_them] and len(answers) > 15

    assert places_of(home.home, url, words) == {}
    assert fingerprints(home) == twin["before"]
    tables_after = states_of_tables(home)
    for name, (live, files, snapshots) in tables_before.items():
        now_live, now_files, now_snapshots = tables_after[name]
        gone = live.keys() - now_live.keys()
        expected["tables"][name] |= {
            "files_rewritten": len(gone),
            "bytes_rewritten": sum(live[path] for path in gone),
            "bytes_of_table": sum(live.values()),
            "snapshots_removed": len(snapshots - now_snapshots),
            "files_removed": len(files - now_files),
        }
    receipt = json.loads(next((home.home / "erasures").glob("*.json")).read_text())
    assert not any(receipt["searched"].values()) and "rows of PostgreSQL" in receipt["searched"]
    assert {name: receipt[name] for name in expected} == expected
    elsewhere = {(one["what"], one["path"]): one["found"] for one in receipt["copies"]}
    assert elsewhere == {
        (copies.EXPORT, str(outside / "profiles.csv")): "holds them",
        (copies.BACKUP, str(outside / "backup")): "holds them",
    }
    assert f"outside of the home: backup {outside / 'backup'}" in printed
    old = home.call("query", "--as-of", str(DAYS[2]), "SELECT count(*) FROM events")
    assert old.returncode == 1 and "an erasure or a clean-up removed it" in old.stderr

    # Lines of the last day in another file, as a replay sends them, and a late line of one of them.
    late = tmp_path / f"events-late-{NEXT_DAY}.jsonl"
    noon = datetime(NEXT_DAY.year, NEXT_DAY.month, NEXT_DAY.day, 12, tzinfo=UTC)
    again = [line for line in log_of_days()[DAYS[3]] if f'"user": "{ERASED[0]}"' in line or DEVICE in line]
    late.write_text("\n".join([*again, json.dumps(event(noon, "id-again", HEAVY, "device-of-two", "item-05"))]) + "\n")
    home.do_all([["land", "--source", toml, next_log, late], ["run", "--day", str(NEXT_DAY)]])
    refused_lines = home.ask("SELECT reason, detail, line FROM rejects WHERE reason = 'erased'")
    assert len(refused_lines) == len(again) + 1 > 2 and {row["detail"] for row in refused_lines} == {REFUSED}
    [counted] = home.ask(f"SELECT rows_in, rows_out FROM runs WHERE step = 'clean' AND day = DATE '{NEXT_DAY}'")
    assert counted["rows_in"] == len(STAYING) and dict(counted["rows_out"])["rejects"] == 1
    assert places_of(home.home, url, words) == {}
    assert fingerprints(home, "profiles") == twin["after"]


def places_with_a_note(home: Any, words: list[str], pseudonym: str) -> dict[str, set[str]]:
    """Return where the words are while a database of the home has a row that names somebody, which the eraser finds."""
    settings = home.settings()
    postgres.create_database(settings, "notes")
    with psycopg.connect(postgres.url(settings, "notes"), autocommit=True) as connection:
        connection.execute("CREATE TABLE note AS SELECT %s AS text", [f"asked by {pseudonym}"])
        assert list(rows_with(settings, {pseudonym.encode()})) == ["notes.public.note"]
        found = places_of(home.home, postgres.url(settings), words)
        connection.execute("DROP TABLE note")
    return found


def expected_receipt(home: Any, hashes: list[str], among: str) -> dict[str, Any]:
    """Return what the receipt has to say, from the home before the erasure: nothing twice, whatever was killed."""
    landed = sorted((home.home / "landing" / "shop").glob("????-??-??/*.parquet"))
    working = [file for folder in ("staging", "exchange") for file in (home.home / folder).rglob("*")
               if file.is_file() and file.suffix != ".lock"]  # fmt: skip
    assert working
    tops = Counter(file.parts[0] for file in files_with(home.home, hashes))
    kept = {name: {"rows": home.ask(f"SELECT count(*) AS n FROM {name} WHERE user_id IN ({among})")[0]["n"]}
            for name in ("events", "sessions", "sequences", "profiles", "device_users")}  # fmt: skip
    lines = [is_of_erased(line) for lines in log_of_days().values() for line in lines]
    rejected = home.ask("SELECT count(*) AS n FROM rejects WHERE reason <> 'unparsable'")[0]["n"] + len(DAYS)
    return {
        "ids_requested": len(REQUEST),
        "landed_lines": sum(lines),
        "landed_files_rewritten": len(landed),
        "landed_bytes": sum(file.stat().st_size for file in landed),
        "rows_of_others_from": str(DAYS[2]),
        "working_files_removed": len(working),
        "files_with_mentions": {top: tops[top] for top in ("logs", "reports")},
        "models_affected": [],
        "tables": {**{name: {"rows": 0} for name in NIGHT_TABLES}, **kept, "rejects": {"rows": rejected}},
    }


def kill_at(home: Any, request: Path, moment: str, seconds: float) -> None:
    """Start the erasure, or go on with it, and kill it shortly after it printed something."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.jobs", "erase", "--request", str(request)],
        env={**home.environment, "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed = []
    assert process.stdout
    for line in process.stdout:
        printed.append(line)
        if moment in line:
            time.sleep(seconds)
            break
    else:
        pytest.fail(f"it ended before {moment!r}: {''.join(printed)}")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
