"""The main job on a small log of the made-up shop, by real processes.

The tests share one installation, and each begins where the one before ended.
"""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.analyst.explain_page import write_explanation
from pipeline.analyst.query import view_names
from pipeline.runner.commands import step_environment
from pipeline.settings import ROOT
from tests.browser import chromium, look_at
from tests.end_to_end.claims import CLAIMS, HITS, RELIABILITY, next_week

pytestmark = pytest.mark.end_to_end


def newest_release(installation: Any) -> dict[str, Any]:
    release: dict[str, Any] = installation.ask("SELECT * FROM releases ORDER BY number DESC LIMIT 1")[0]
    return release


def test_nothing_is_lost(nights: Any, shop: Any) -> None:
    steps = nights.ask("SELECT rows_in, rows_out FROM runs WHERE step = 'clean'")
    outcomes = {
        outcome: sum(dict(step["rows_out"])[outcome] for step in steps)
        for outcome in ("accepted", "duplicates", "rejects")
    }
    assert sum(step["rows_in"] for step in steps) == shop.lines == sum(outcomes.values())
    assert outcomes["accepted"] == nights.ask("SELECT count(*) AS n FROM events")[0]["n"]
    assert outcomes["rejects"] == nights.ask("SELECT count(*) AS n FROM rejects")[0]["n"]
    # Copies of events of the lost day are events now, so the plan's counts bound them rather than equal them.
    assert 0 < outcomes["rejects"] <= shop.made.rejects
    assert 0 < outcomes["duplicates"] <= shop.made.duplicates


def test_every_accepted_event_is_in_exactly_one_session(nights: Any) -> None:
    [counts] = nights.ask("""
        WITH placed AS (SELECT unnest(events).event_id AS event_id FROM sessions)
        SELECT (SELECT count(*) FROM events) AS events, count(*) AS placed, count(DISTINCT event_id) AS distinct_placed
        FROM placed
    """)
    assert counts["events"] == counts["placed"] == counts["distinct_placed"]


def test_profiles_hold_the_true_interests(nights: Any, shop: Any) -> None:
    truth = shop.truth()
    pseudonyms = dict(zip(truth, nights.do("pseudonym", *truth).split(), strict=True))
    top = {
        row["user_id"]: set(row["tags"])
        for row in nights.ask("""
            SELECT user_id, list(tag) AS tags FROM user_interests
            WHERE rank <= 3 AND user_id IN (
                SELECT user_id FROM events WHERE event_at >= (SELECT max(as_of) FROM releases) - INTERVAL 14 DAY
                GROUP BY user_id HAVING count(*) >= 10)
            GROUP BY user_id
        """)
    }
    recalls = [
        len(top[pseudonyms[user]] & set(planted)) / min(3, len(planted))
        for user, planted in truth.items()
        if planted and pseudonyms[user] in top
    ]
    assert len(recalls) >= 50
    assert sum(recalls) / len(recalls) >= 0.7


@pytest.mark.parametrize("name", CLAIMS)
def test_published_rows_are_as_claimed(nights: Any, name: str) -> None:
    claim = CLAIMS[name]
    assert nights.ask(f"SELECT * FROM ({claim.rows}) LIMIT 1"), "there are rows that it is about"
    assert nights.ask(f"SELECT * FROM ({claim.broken}) LIMIT 3") == []


def test_published_rows_find_more_of_the_next_week_than_the_last_session_and_popularity(nights: Any, shop: Any) -> None:
    """Of the tags and the items that users touch in the week after."""
    as_of = shop.last - timedelta(days=7)
    hits = {row["ranking"]: row["hits"] for row in nights.ask(next_week(HITS, as_of))}
    assert hits["tags by profiles"] > 1.2 * hits["tags by last session"] > 1.2 * hits["tags by popularity"] > 0
    assert hits["items by profiles"] > 1.5 * hits["items by popularity"] > 0


def test_the_higher_a_published_probability_the_more_often_it_comes_true(nights: Any, shop: Any) -> None:
    """Of interests and of returns, in fifths of the rows by probability; neighbours may be level."""
    fifths = nights.ask(next_week(RELIABILITY, shop.last - timedelta(days=7)))
    for of in ("interest", "return"):
        shares = [row["came_true"] for row in fifths if row["of"] == of]
        assert len(shares) == 5 and shares[-1] > shares[0] + 0.3, of
        assert all(higher > lower - 0.03 for lower, higher in pairwise(shares)), of


def test_only_pseudonyms_are_stored(nights: Any, shop: Any) -> None:
    [other_ids] = nights.ask("SELECT count(*) AS n FROM events WHERE NOT regexp_full_match(user_id, '[0-9a-f]{64}')")
    assert other_ids["n"] == 0
    key = (nights.home / "pseudonym.key").read_text().strip()
    logs = "".join(file.read_text(errors="replace") for file in (nights.home / "logs").rglob("*.log"))
    assert key not in logs
    assert (nights.home / "pseudonym.key").stat().st_mode & 0o777 == 0o600


def test_bots_are_kept_out_of_sequences_but_not_deleted(nights: Any) -> None:
    classes = {
        row["bot_class"]: row["n"] for row in nights.ask("SELECT bot_class, count(*) AS n FROM events GROUP BY ALL")
    }
    assert classes.keys() == {"human", "declared", "behavioural"}
    [of_bots] = nights.ask("""
        SELECT count(*) AS n FROM sequences WHERE user_id IN (
            SELECT user_id FROM events GROUP BY user_id HAVING bool_and(bot_class <> 'human'))
    """)
    assert of_bots["n"] == 0


def test_explain_day_accounts_for_the_lines(nights: Any, shop: Any) -> None:
    printed = nights.do("explain", "day", str(shop.last))
    [step] = nights.ask(f"SELECT rows_in, rows_out FROM runs WHERE step = 'clean' AND day = DATE '{shop.last}'")
    for number in (step["rows_in"], *dict(step["rows_out"]).values()):
        assert f"{number:,}" in printed or str(number) in printed
    assert "accepted" in printed
    assert "duplicates" in printed
    assert "rejects" in printed


def test_explain_user_takes_the_id_of_the_source(nights: Any, shop: Any) -> None:
    user, planted = next((user, tags) for user, tags in shop.truth().items() if len(tags) >= 3)
    printed = nights.do("explain", "user", user)
    assert any(tag in printed for tag in planted)
    assert user not in printed


def test_each_release_can_be_queried(nights: Any, shop: Any) -> None:
    question = "SELECT max(as_of) AS newest FROM profiles"
    before = json.loads(nights.do("query", question, "--format", "json", "--as-of", str(shop.empty_day)))
    assert before == [{"newest": str(shop.empty_day)}]
    assert nights.ask("SELECT max(as_of) AS newest FROM profiles")[0]["newest"] == str(shop.last)


def test_the_questions_of_analysts_have_the_answers_of_their_page(
    nights: Any, golden_text: Callable[[Path, str], None]
) -> None:
    """After a change of the log, the model or a view: --update-golden, and read the difference."""
    file = ROOT / "sql" / "questions.md"
    head, *questions = re.findall(r"^#.*?(?=^## |\Z)", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    asked = [re.match(r"(.*?```sql\n(.*?)\n```\n)", question, re.DOTALL) for question in questions]
    answered = [f"{found[1]}\n{as_markdown(nights.ask(found[2]))}\n" for found in asked if found]
    assert len(answered) == len(questions) == 10
    golden_text(file, "\n".join([head.rstrip() + "\n", *answered]))


def as_markdown(rows: list[dict[str, Any]]) -> str:
    lines = [[*rows[0]], ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


IN_SPARK_SQL = """
import json, sys
from pipeline.settings import load_settings
from pipeline.warehouse.session import open_session

with open_session(load_settings(), "views") as spark:
    for name in sys.argv[1:]:
        rows = spark.table(f"interest.{name}").collect()
        print(json.dumps([row.asDict(recursive=True) for row in rows], default=str))
"""


def test_spark_sql_shows_the_same_rows_of_all_views(nights: Any) -> None:
    """By the views in the catalog, which the first step of a night makes."""
    names = view_names()
    done = subprocess.run(
        [sys.executable, "-c", IN_SPARK_SQL, *names],
        env={**nights.environment, **step_environment(nights.settings())},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    by_spark = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    for name, found in zip(names, by_spark, strict=True):
        columns = nights.ask(f"SELECT column_name FROM (DESCRIBE {name}) WHERE column_name NOT IN ({NOT_COMPARED})")
        chosen = [row["column_name"] for row in columns]
        expected = nights.ask(f"SELECT {', '.join(chosen)} FROM {name}")
        assert expected or name == "tag_calibration", name
        assert sorted(map(comparable(chosen), found)) == sorted(map(comparable(chosen), expected)), name


NOT_COMPARED = "'embedding', 'input_snapshots', 'top_items', 'interests', 'scored_at', 'last_event_at'"


def comparable(columns: list[str]) -> Callable[[dict[str, Any]], str]:
    """Return the function that writes a row with numbers rounded, since sums add up in any order."""

    def write(row: dict[str, Any]) -> str:
        values = [row[name] for name in columns]
        return json.dumps([round(value, 9) if isinstance(value, float) else str(value) for value in values])

    return write


def test_the_pages_of_nights_in_a_browser(nights: Any, shop: Any) -> None:
    """The reports that the two publications wrote, one of them of an empty day, and a user of many sessions."""
    reports = nights.home / "reports"
    [user] = nights.ask("SELECT user_id FROM current_profiles ORDER BY session_count DESC, user_id LIMIT 1")
    explained = write_explanation(nights.catalog(), user["user_id"], reports)
    pages = [reports / f"{shop.last}.html", reports / f"{shop.empty_day}.html", reports / "index.html", explained]
    with chromium() as browser:
        texts, wrong = zip(*[look_at(browser, page) for page in pages], strict=True)
    assert [one for found in wrong for one in found] == []
    assert "Nothing landed on this day: it counts as empty." in texts[1]
    assert str(shop.last) in texts[2] and str(shop.empty_day) in texts[2]


def test_a_file_that_landed_already_is_refused(nights: Any, shop: Any) -> None:
    file = next(shop.folder.glob(f"events-{shop.last}*"))
    done = nights.call("land", "--source", "demo", file)
    assert done.returncode == 1
    assert "the same bytes landed already" in done.stderr
    assert "throughline run" in done.stderr


def test_a_day_that_has_not_landed(nights: Any, shop: Any) -> None:
    day = shop.last + timedelta(days=1)
    done = nights.call("run", "--day", str(day))
    assert done.returncode == 1
    assert f"day {day} has not landed: the newest landed day is {shop.last}" in done.stderr


def test_an_unreadable_file_leaves_nothing_behind(nights: Any, tmp_path: Path) -> None:
    truncated = tmp_path / "events-truncated.jsonl.gz"
    truncated.write_bytes(gzip.compress(b'{"id": "1"}\n' * 10_000)[:-40])
    before = sorted((nights.home / "landing").rglob("*"))
    done = nights.call("land", "--source", "demo", truncated)
    assert done.returncode == 1
    assert f"{truncated}: cannot be unpacked" in done.stderr
    assert sorted((nights.home / "landing").rglob("*")) == before


def test_a_wrong_expression_names_file_and_key(nights: Any, shop: Any, tmp_path: Path) -> None:
    toml = tmp_path / "shop.toml"
    built_in = (Path(__file__).resolve().parents[2] / "pipeline" / "sources" / "demo.toml").read_text()
    toml.write_text(built_in.replace('item_id = "item"', 'item_id = "no_such_field"', 1).replace('"demo"', '"shop"', 1))
    (tmp_path / "events-1.jsonl").write_text('{"id": "1"}\n')
    done = nights.call("land", "--source", toml, tmp_path / "events-1.jsonl")
    assert done.returncode == 1
    assert f"{toml}: key 'columns.item_id' = 'no_such_field'" in done.stderr
    assert not (nights.home / "landing" / "shop").exists()


def test_lines_lost_from_the_landing_zone_fail_the_run(nights: Any, shop: Any) -> None:
    release = newest_release(nights)
    marker = nights.home / "landing" / "demo" / str(shop.last) / "_LANDED"
    closed = marker.read_text()
    landed = json.loads(closed)
    marker.write_text(json.dumps({**landed, "lines": landed["lines"] + 1}))
    done = nights.call("clean", "--day", str(shop.last))
    marker.write_text(closed)
    assert done.returncode == 1
    assert f"was closed with {landed['lines'] + 1} lines, {landed['lines']} are there" in done.stderr
    assert newest_release(nights) == release


def test_a_bad_batch_fails_its_gate_and_the_release_stays(
    nights: Any, shop: Any, tmp_path: Path, good_line: Any
) -> None:
    release = newest_release(nights)
    events = nights.ask("SELECT count(*) AS n FROM events")
    day = shop.last + timedelta(days=1)
    bad = tmp_path / f"events-{day}.jsonl"
    bad.write_text("".join(["half a li\n"] * 60 + [good_line(day, number) for number in range(40)]))
    nights.do("land", "--source", "demo", bad)
    done = nights.call("run", "--day", str(day))
    assert done.returncode == 1
    assert "line_accounting: 1 broken of 3 rules; nothing was published" in done.stderr
    assert f"at most a fifth of the lines is rejected: demo {day}: 60 of 100 lines (60 unparsable)" in done.stderr
    assert "throughline rejects list --unpublished --source demo" in done.stderr
    assert "the collector or the TOML changed" in done.stderr
    assert newest_release(nights) == release
    assert nights.ask("SELECT count(*) AS n FROM events") == events
