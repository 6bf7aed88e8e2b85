"""Two logs with their own TOMLs, `shop` and `bare`, in one warehouse, by real processes.

The TOML of `shop` rejects lines. They are listed, the TOML is corrected, and a replay moves them. `bare` has items but
no tags: its first run already takes clusters of its items as tags.
The tests share one installation, and each begins where the one before ended.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.landing.zone import LandingZone

pytestmark = pytest.mark.end_to_end

FIRST = datetime(2026, 1, 5, 8, tzinfo=UTC)
DAYS = 3
TOML = """
name = "shop"
[reader]
format = "jsonl"
fields = "id STRING, user STRING, time STRING, type STRING, item STRING, tags ARRAY<STRING>"
[columns]
event_id = "id"
user_id = "user"
event_at = "to_timestamp(time)"
event_type = "type"
item_id = "item"
tags = "tags"
[event_types.view]
as = "view"
"""
BARE_TOML = """
name = "bare"
[reader]
format = "jsonl"
fields = "user STRING, time STRING, item STRING"
[columns]
user_id = "user"
event_at = "to_timestamp(time)"
event_type = "'look'"
item_id = "item"
[event_types.look]
as = "view"
[clusters]
count = 3
least_sessions = 3
"""
GROUPS = (["spade", "trowel", "hoe", "rake"], ["pan", "pot", "wok", "kettle"], ["lute", "lyre", "harp", "fiddle"])
EARLIER, LAST = date(2026, 1, 6), date(2026, 1, 7)
WISH = '[event_types.wish]\nas = "like"\nweight = 2.0\nexclude_item = true\n'


@dataclass(frozen=True)
class Wishes:
    """An installation whose TOML of `shop` lacks the event type `wish`, and the files to correct it."""

    installation: Any
    folder: Path

    @property
    def toml(self) -> Path:
        return self.folder / "shop.toml"

    @property
    def zone(self) -> LandingZone:
        return LandingZone(self.installation.home / "landing")

    @property
    def in_force(self) -> Path:
        return self.zone.root / "shop" / "source.toml"

    def corrected(self, content: str = TOML + WISH) -> Path:
        file = self.folder / "corrected.toml"
        file.write_text(content)
        return file

    def replay(self, *options: str, toml: str = TOML + WISH) -> str:
        return str(self.installation.do("rejects", "replay", "--source", self.corrected(toml), *options))

    def outcomes(self) -> dict[str, int]:
        """Return the number of lines and what became of them, by the runs and by the tables."""
        [counts] = self.installation.ask("""
            SELECT sum(rows_in) AS lines, sum(rows_out['accepted']) AS accepted,
                sum(rows_out['duplicates']) AS duplicates, sum(rows_out['rejects']) AS rejects,
                (SELECT count(*) FROM events WHERE source = 'shop') AS events,
                (SELECT count(*) FROM rejects WHERE source = 'shop') AS refused
            FROM runs WHERE step = 'clean' AND source = 'shop'
        """)
        return {name: int(count) for name, count in counts.items()}

    def newest_run(self) -> str:
        [release] = self.installation.ask("SELECT run_id FROM releases ORDER BY number DESC LIMIT 1")
        return str(release["run_id"])


def log_lines() -> list[str]:
    """Return three days of 20 users who view. On the last two some wish; one wish comes twice, one line is broken."""
    lines = []
    for day in range(DAYS):
        for number in range(40):
            kind = "wish" if day > 0 and number % 10 == 0 else "view"
            moment = f"{FIRST + timedelta(days=day, minutes=7 * number):%Y-%m-%dT%H:%M:%SZ}"
            about = {"item": f"i{number % 5}", "tags": [f"t{number % 5}"]}
            event = {"id": f"{day}-{number}", "user": f"u{number % 20}", "time": moment, "type": kind, **about}
            lines.append(json.dumps(event))
            if (day, number) == (1, 10):
                lines.append(lines[-1])
    lines.insert(60, lines[60][:30])
    return lines


def bare_lines() -> list[str]:
    """Return three days of thirty people, each with two sessions a day on the items of one group."""
    lines = []
    for number in range(DAYS):
        day = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=number)
        for person in range(30):
            group = GROUPS[person % len(GROUPS)]
            for visit in range(2):
                for step in range(3):
                    at = day + timedelta(hours=1 + 9 * visit, minutes=person + 2 * step, seconds=person)
                    item = group[(person // 3 + visit + step + number) % len(group)]
                    lines.append(json.dumps({"user": f"p{person}", "time": at.isoformat(), "item": item}))
    return lines


@pytest.fixture(scope="module")
def wishes(own_installation: Any, tmp_path_factory: pytest.TempPathFactory) -> Wishes:
    """Both logs landed and run. The TOML of `shop` lacks the event type `wish`: eight lines and a copy are rejected."""
    made = Wishes(own_installation, tmp_path_factory.mktemp("wishes"))
    made.toml.write_text(TOML)
    (made.folder / "bare.toml").write_text(BARE_TOML)
    for toml, name, lines in ((made.toml, "log", log_lines()), (made.folder / "bare.toml", "bare", bare_lines())):
        (made.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        own_installation.do("land", "--source", toml, made.folder / f"{name}.jsonl")
    own_installation.do("run", "--from", "2026-01-05", "--to", "2026-01-07")
    return made


def test_the_list_shows_rejected_lines_and_reasons(wishes: Wishes) -> None:
    assert wishes.outcomes() == {
        "lines": 122, "accepted": 112, "duplicates": 0, "rejects": 10, "events": 112, "refused": 10,
    }  # fmt: skip
    printed = wishes.installation.do("rejects", "list")
    assert "unknown_event_type" in printed and "unparsable" in printed and "2026-01-07" in printed
    assert "event type wish is not in [event_types] of the TOML" in printed
    assert "log.jsonl:61" in printed and log_lines()[60][:30] in printed
    assert "throughline rejects replay --source my.toml" in printed
    rows = json.loads(wishes.installation.do("rejects", "list", "--source", "shop", "--format", "json"))
    assert [(row["reason"], row["line_count"]) for row in rows] == [("unknown_event_type", 9), ("unparsable", 1)]
    assert rows[0]["examples"][0]["text"] in log_lines()


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (TOML.replace('"item"', '"no_such_field"') + WISH, "key 'columns.item_id' = 'no_such_field'"),
        (TOML + WISH.replace("weight", "wait"), "unknown key 'event_types.wish.wait'"),
        ((TOML + WISH).replace('name = "shop"', 'name = "blog"'), "no source 'blog' has landed: landed are bare, shop"),
        (TOML.replace('"user"', '"nullif(user, user)"') + WISH, "1 broken of 3 rules; nothing was published"),
    ],
    ids=["expression", "key", "name", "gate"],
)
def test_a_broken_toml_changes_nothing(wishes: Wishes, toml: str, message: str) -> None:
    run = wishes.newest_run()
    done = wishes.installation.call("rejects", "replay", "--source", wishes.corrected(toml))
    assert done.returncode == 1, done.stdout + done.stderr
    assert message in done.stderr
    if "running replace_source" in done.stdout:
        assert "nothing was published, and shop keeps its former TOML" in done.stderr
    assert wishes.in_force.read_text() == TOML
    assert not wishes.zone.replaced_files("shop")
    assert wishes.newest_run() == run


def test_a_dry_run_prints_the_plan_and_changes_nothing(wishes: Wishes) -> None:
    run = wishes.newest_run()
    printed = wishes.replay("--dry-run")
    assert "rejected lines of shop from 2026-01-06 on: 9 unknown_event_type, 1 unparsable" in printed
    steps = "clean, sessions, sequences, score, profiles, audit, publish"
    assert f"would run replace_source, {steps} for 2026-01-06 to 2026-01-07" in printed
    assert wishes.in_force.read_text() == TOML
    assert wishes.newest_run() == run


OF_BARE = "user_id IN (SELECT user_id FROM events WHERE source = 'bare')"


TOP_OF_BARE = f"""
    SELECT entry.interest.tag AS tag, len(entry.interest.evidence) AS evidence_count
    FROM profiles CROSS JOIN unnest(interests) AS entry (interest)
    WHERE entry.interest.rank = 1 AND {OF_BARE}
"""


def test_the_first_run_of_a_log_without_tags_ends_with_interests(wishes: Wishes) -> None:
    here = wishes.installation
    version = here.ask("SELECT version, tag, list(item_id ORDER BY item_id) AS items FROM item_clusters GROUP BY ALL")
    assert {row["version"] for row in version} == {f"clusters-1.{LAST:%Y%m%d}"}
    assert sorted(row["items"] for row in version) == sorted(sorted(group) for group in GROUPS)
    tags = {row["tag"] for row in version}
    assert {tag[:5] for tag in tags} == {"like "}
    top = here.ask(f"{TOP_OF_BARE} AND as_of = DATE '{LAST}'")
    assert len(top) == 30 and {row["tag"] for row in top} == tags and all(row["evidence_count"] > 0 for row in top)
    explained = here.do("explain", "user", "p0", "--source", "bare")
    assert "because of" in explained and any(item in explained for item in GROUPS[0])


def test_a_version_of_an_earlier_day_can_be_trained_at_once(wishes: Wishes) -> None:
    printed = wishes.installation.do("clusters", "--through", EARLIER)
    assert "clusters-1.20260106 of bare: 12 items in clusters" in printed
    assert "clusters-1.20260106 of bare exists already" in wishes.installation.do("clusters", "--through", EARLIER)


def test_a_replayed_line_moves_and_never_doubles(wishes: Wishes) -> None:
    leftover = wishes.zone.replaced_file("shop", "replay_of_a_killed_run")
    leftover.parent.mkdir(exist_ok=True)
    leftover.write_text("half a")
    printed = wishes.replay("--reason", "unknown_event_type")
    assert "of 10 rejected lines 9 moved: 8 to events, 1 are duplicates; still rejected: 1 unparsable" in printed
    assert wishes.outcomes() == {
        "lines": 122, "accepted": 120, "duplicates": 1, "rejects": 1, "events": 120, "refused": 1,
    }  # fmt: skip
    moved = wishes.installation.ask("SELECT event_id, weight, file, line FROM events WHERE event_type = 'like'")
    lines = log_lines()
    assert sorted(row["event_id"] for row in moved) == sorted(f"{day}-{n}" for day in (1, 2) for n in (0, 10, 20, 30))
    assert all(json.loads(lines[row["line"] - 1])["id"] == row["event_id"] and row["weight"] == 2.0 for row in moved)
    [left] = wishes.installation.ask("SELECT reason, line FROM rejects")
    assert left == {"reason": "unparsable", "line": 61}
    [placed] = wishes.installation.ask(
        "SELECT count(*) AS n FROM (SELECT unnest(events) FROM sessions WHERE source = 'shop')"
    )
    assert placed["n"] == 120
    assert wishes.in_force.read_text() == TOML + WISH
    assert not wishes.zone.replaced_files("shop")


def test_the_newest_profiles_count_the_moved_lines(wishes: Wishes) -> None:
    [profiles] = wishes.installation.ask(
        f"SELECT sum(event_count) AS events, min(as_of) AS oldest FROM current_profiles WHERE NOT {OF_BARE}"
    )
    assert (int(profiles["events"]), profiles["oldest"]) == (120, "2026-01-07")
    hashes = wishes.installation.ask(
        "SELECT DISTINCT config_hash FROM profiles WHERE as_of >= DATE '2026-01-06' "
        "UNION SELECT config_hash FROM (SELECT * FROM releases ORDER BY number DESC LIMIT 1)"
    )
    assert len(hashes) == 1


def test_no_list_of_recommended_items_has_one_that_the_user_wished_for(wishes: Wishes) -> None:
    """The corrected TOML excludes item `i0` for them. Lists are full, and all other users of the shop have it."""
    rows = wishes.installation.ask(f"""
        SELECT user_id, user_id IN (SELECT user_id FROM events WHERE event_type = 'like') AS has_wished,
            list(entry.item.item_id) AS items
        FROM profiles CROSS JOIN unnest(top_items) AS entry (item)
        WHERE as_of = DATE '{LAST}' AND NOT {OF_BARE} GROUP BY user_id
    """)
    assert (len(rows), sum(row["has_wished"] for row in rows)) == (20, 2)
    for row in rows:
        assert len(row["items"]) == 10
        assert {"i0", "i1", "i2", "i3", "i4"} - {*row["items"]} == ({"i0"} if row["has_wished"] else set())


def test_each_day_has_the_newest_version_of_that_day(wishes: Wishes) -> None:
    """The replay has run both days again, when there were versions of both."""
    here = wishes.installation
    for day in (EARLIER, LAST):
        tags = here.ask(f"SELECT DISTINCT tag FROM item_clusters WHERE trained_through = DATE '{day}'")
        top = here.ask(f"{TOP_OF_BARE} AND as_of = DATE '{day}'")
        assert len(top) == 30 and {row["tag"] for row in top} == {row["tag"] for row in tags}
    assert here.ask("SELECT * FROM events WHERE source = 'bare' AND len(tags) > 0") == []


POISON_TOML = TOML.replace('"shop"', '"poison"')
TODAY = date(2026, 1, 8)


def lines_on(day: date, source: str, count: int) -> list[str]:
    """Return a line a minute of a day, of a user each."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    about = {"type": "view", "item": "i1", "tags": ["t1"]}
    moments = [f"{noon + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}" for number in range(count)]
    named = [{"id": f"{source}-{moment}", "user": f"u{number}"} for number, moment in enumerate(moments)]
    return [json.dumps({**one, "time": moment, **about}) for one, moment in zip(named, moments, strict=True)]


def test_a_source_with_broken_clocks_stops_no_other_and_no_old_day_is_read_again(wishes: Wishes) -> None:
    """One source has lines of 1990, today, 2099 and 2100, in one file and in files of their own; two are healthy."""
    here, folder = wishes.installation, wishes.folder
    poison = folder / "poison.toml"
    poison.write_text(POISON_TOML)
    broken = [lines_on(date(year, 1, 1), "poison", 6) for year in (1990, 2099, 2100)]
    files = {
        "mixed": [line for of_year in broken for line in of_year] + lines_on(TODAY, "poison", 25),
        "of-1990": [*lines_on(date(1990, 2, 2), "poison", 4), "half a li", "half a li"],
        "of-2099": [*lines_on(date(2099, 2, 2), "poison", 3), *lines_on(date(2100, 2, 2), "poison", 1)],
    }
    commands = []
    for name, lines in files.items():
        (folder / f"poison-{name}.jsonl").write_text("\n".join(lines) + "\n")
        commands.append(["land", "--source", poison, folder / f"poison-{name}.jsonl"])
    for name, toml in (("shop", wishes.corrected()), ("bare", folder / "bare.toml")):
        (folder / f"{name}-today.jsonl").write_text("\n".join(lines_on(TODAY, name, 30)) + "\n")
        commands.append(["land", "--source", toml, folder / f"{name}-today.jsonl"])
    here.do_all(commands)
    printed = here.do("run", "--day", TODAY)
    assert f"warning: set aside poison {TODAY}: 18 of 43 lines are rejected" in printed
    assert f"poison {TODAY}: 18 of 43 lines (12 implausible_time, 6 missing_event_at)" in printed
    assert "warning: poison 1990-02-02: 6 lines lie far from all others and wait for" in printed
    cleaned = here.ask("SELECT DISTINCT source, day FROM runs WHERE step = 'clean' AND run_id = 'terminal_20260108'")
    assert {(row["source"], row["day"]) for row in cleaned} == {(one, str(TODAY)) for one in ("bare", "poison", "shop")}
    of_today = here.ask(f"SELECT source, count(*) AS n FROM events WHERE arrival_day >= DATE '{TODAY}' GROUP BY source")
    assert {row["source"]: row["n"] for row in of_today} == {"bare": 30, "shop": 30}
    kept = here.ask("SELECT DISTINCT year(event_at) AS year FROM events")
    assert kept == [{"year": 2026}]
    assert here.ask("SELECT max(as_of) AS day FROM releases") == [{"day": str(TODAY)}]
