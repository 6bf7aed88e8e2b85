"""Gates: every suite accepts good rows, and names each broken rule with its counts."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from pipeline.analyst.ddl import declared_columns
from pipeline.errors import GateError, InputError
from pipeline.quality import figures
from pipeline.quality.figures import SUITES, Rule, Suite, load_suite, measure
from pipeline.quality.gates import check
from pipeline.settings import ROOT

USER, OTHER = "a" * 64, "b" * 64
ALL_SUITES = sorted(file.stem for file in SUITES.glob("*.json"))
NINE, TEN = (datetime(2026, 1, 5, hour, tzinfo=UTC) for hour in (9, 10))
LISTS = ("item", "tags", "action", "weight", "event_at", "session_id")
TEA, SOUP = ({"tag": tag, "affinity": affinity, "trend": 0.1} for tag, affinity in (("tea", 0.9), ("soup", 0.1)))

# Per suite: the columns that its rules read, a good row, and per rule the rows that break it, as changes to the good
# row, with the number of broken rows among them and the good row.
ROWS: dict[str, tuple[str, dict[str, Any], dict[str, tuple[list[dict[str, Any]], int]]]] = {
    "events": (
        "source STRING, file STRING, line BIGINT, part INT, arrival_day DATE, user_id STRING, device_id STRING, "
        "event_at TIMESTAMP, weight DOUBLE, bot_class STRING",
        {
            "source": "web", "file": "log", "line": 1, "part": 1, "arrival_day": "2026-01-05", "user_id": USER,
            "device_id": None, "event_at": "2026-01-05T10:00:00", "weight": 1.0, "bot_class": "human",
        },
        {
            "a line gives an event once": ([{}], 2),
            "user_id is a pseudonym": ([{"line": 2, "user_id": "u-1042"}, {"line": 3, "user_id": f"{USER}0"}], 2),
            "device_id is a pseudonym": ([{"line": 4, "device_id": "d-1"}], 1),
            "event_at is known": ([{"line": 5, "event_at": None}], 1),
            "weight is not negative": ([{"line": 6, "weight": -1.0}], 1),
            "bot_class is known": ([{"line": 7, "bot_class": "alien"}], 1),
            "most events are human": ([{"line": 8 + one, "bot_class": "declared"} for one in range(3)], 3),
        },
    ),
    "line_accounting": (
        "source STRING, day DATE, lines_in BIGINT, accepted BIGINT, duplicates BIGINT, rejects BIGINT, "
        "excluded BIGINT, set_aside BIGINT, rejected BIGINT, reject_share DOUBLE, reasons STRING",
        {
            "source": "web", "day": "2026-01-05", "lines_in": 10, "accepted": 8, "duplicates": 1, "rejects": 1,
            "excluded": 0, "set_aside": 0, "rejected": 1, "reject_share": 0.1, "reasons": "1 unparsable",
        },
        {
            "every line has an outcome": ([{"accepted": 7}, {"lines_in": 9}], 2),
            "at most a fifth of the lines is rejected": (
                [{"reject_share": 0.21, "rejected": 11}, {"reject_share": 0.2, "rejected": 11},
                 {"reject_share": 0.9, "rejected": 9}, {"reject_share": 1.0, "rejected": 10}],
                2,
            ),
            "no day is set aside": ([{"set_aside": 6, "rejected": 2}], 1),
        },
    ),
    "model_output": (
        "as_of DATE, scored_count BIGINT, missing_count BIGINT, count_before BIGINT, model_age_days INT, "
        "common_user_count BIGINT, tag_drift DOUBLE, has_clusters BOOLEAN, min_coverage DOUBLE, max_tag_drift DOUBLE",
        {
            "as_of": "2026-01-05", "scored_count": 900, "missing_count": 0, "count_before": 1000,
            "model_age_days": None, "common_user_count": 100, "tag_drift": 0.2, "has_clusters": False,
            "min_coverage": 0.5, "max_tag_drift": 0.5,
        },
        {
            "users with new events have a profile": ([{"missing_count": 3}], 1),
            "the users of the release before are there": (
                [{"scored_count": 499}, {"scored_count": 0}, {"scored_count": 0, "min_coverage": 0.0}], 2,
            ),
            "the tags of the same users move slowly": (
                [{"tag_drift": 0.51}, {"tag_drift": 0.9, "common_user_count": 99}, {"tag_drift": None},
                 {"tag_drift": 0.9, "has_clusters": True}, {"tag_drift": 1.0, "max_tag_drift": 1.0}],
                1,
            ),
            "the model is at most 60 days old": ([{"model_age_days": 61}, {"model_age_days": 60}], 1),
        },
    ),
    "profiles": (
        "user_id STRING, as_of DATE, horizon_days INT, return_probability DOUBLE, "
        "interests ARRAY<STRUCT<tag: STRING, affinity: DOUBLE, trend: DOUBLE>>, last_event_at TIMESTAMP, "
        "top_items ARRAY<STRUCT<score: DOUBLE>>, embedding ARRAY<FLOAT>, has_clusters BOOLEAN",
        {
            "user_id": USER, "as_of": "2026-01-05", "horizon_days": 7, "return_probability": 0.5,
            "interests": [TEA, SOUP], "last_event_at": "2026-01-05T23:59:59", "has_clusters": False,
            "top_items": [{"score": -1.5}], "embedding": [0.6, -0.8],
        },
        {
            "one row per user and day": ([{}], 2),
            "return_probability is a probability": (
                [{"user_id": OTHER, "return_probability": 1.1}, {"user_id": "c", "return_probability": -0.1},
                 {"user_id": "d", "return_probability": float("nan")}],
                3,
            ),
            "horizon_days is 1 to 28": (
                [{"user_id": "k", "horizon_days": 0}, {"user_id": "l", "horizon_days": 29},
                 {"user_id": "m", "horizon_days": None}],
                3,
            ),
            "affinities are at most 1": ([{"user_id": "e", "interests": [{**TEA, "affinity": 1.5}, SOUP]}], 1),
            "affinities are at least 0": ([{"user_id": "f", "interests": [TEA, {**SOUP, "affinity": -0.1}]}], 1),
            "affinities and trends are numbers": (
                [{"user_id": "n", "interests": [{**TEA, "affinity": None}]},
                 {"user_id": "o", "interests": [{**TEA, "trend": float("nan")}]}],
                2,
            ),
            "scores of items are finite": (
                [{"user_id": "p", "top_items": [{"score": float("inf")}]},
                 {"user_id": "q", "top_items": [{"score": float("nan")}]}],
                2,
            ),
            "an embedding is finite and not zero": (
                [{"user_id": f"e-{number}", "embedding": one}
                 for number, one in enumerate(([0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], []))],
                3,
            ),
            "interests are in order of affinity": ([{"user_id": "g", "interests": [SOUP, TEA]}], 1),
            "most profiles have interests": ([{"user_id": "h", "interests": []}, {"user_id": "i", "interests": []}], 2),
            "no event is after as_of": ([{"user_id": "j", "last_event_at": "2026-01-06T00:00:00"}], 1),
        },
    ),
    "sequences": (
        "user_id STRING, as_of DATE, item ARRAY<BIGINT>, tags ARRAY<ARRAY<STRING>>, action ARRAY<STRING>, "
        "weight ARRAY<DOUBLE>, event_at ARRAY<TIMESTAMP>, session_id ARRAY<STRING>, last_event_at TIMESTAMP, "
        "sequence_length INT",
        {
            "user_id": USER, "as_of": "2026-01-05", "item": [1, 2], "tags": [["tea"], []], "action": ["view", "view"],
            "weight": [1.0, 1.0], "event_at": [NINE, TEN], "session_id": ["s", "s"],
            "last_event_at": "2026-01-05T10:00:00", "sequence_length": 2,
        },
        {
            "one row per user and day": ([{}], 2),
            "a sequence has events": (
                [{"user_id": OTHER, **{name: [] for name in LISTS}}],
                1,
            ),
            "a sequence has at most sequence_length events": ([{"user_id": "c", "sequence_length": 1}], 1),
            "all lists have one length": (
                [{"user_id": f"u-{name}", name: []} for name in LISTS if name != "item"],
                5,
            ),
            "events are in order of time": ([{"user_id": "d", "event_at": [TEN, NINE]}], 1),
            "no event is after as_of": ([{"user_id": "e", "last_event_at": "2026-01-06T00:00:00"}], 1),
        },
    ),
    "sessions": (
        "session_id STRING, event_count INT, duration_seconds DOUBLE, started_at TIMESTAMP, run_started_at TIMESTAMP, "
        "split_reason STRING",
        {
            "session_id": "s", "event_count": 1, "duration_seconds": 0.0, "started_at": "2026-01-05T10:00:00",
            "run_started_at": "2026-01-05T10:00:00", "split_reason": "gap",
        },
        {
            "session_id is unique": ([{}, {}], 3),
            "a session has events": ([{"session_id": "t", "event_count": 0}], 1),
            "duration_seconds is not negative": ([{"session_id": "u", "duration_seconds": -1.0}], 1),
            "a session starts within its run": ([{"session_id": "v", "run_started_at": "2026-01-05T11:00:00"}], 1),
            "split_reason is known": ([{"session_id": "w", "split_reason": "whim"}], 1),
        },
    ),
    "users": (
        "source STRING, user_id STRING, day DATE, device_count BIGINT, event_count BIGINT",
        {"source": "web", "user_id": USER, "day": "2026-01-05", "device_count": 20, "event_count": 90},
        {"a user has at most 20 devices a day": ([{"user_id": OTHER, "device_count": 21}], 1)},
    ),
}  # fmt: skip
ALL_RULES = [(suite, rule) for suite, (_, _, rules) in ROWS.items() for rule in rules]
WARNINGS = {
    ("users", "a user has at most 20 devices a day"),
    ("line_accounting", "no day is set aside"),
    ("model_output", "the model is at most 60 days old"),
}
# Rules with a description of their broken rows have tests of their own below.
DESCRIBED = {(suite, rule.rule) for suite in ALL_SUITES for rule in load_suite(suite).rules if rule.shown}
COMPUTED = {"line_accounting", "users", "model_output"}  # suites of no table


def added(suite: str) -> dict[str, Any]:
    """Return the columns that `audit` adds to the table of a suite."""
    return {"sequences": {"sequence_length": F.lit(512)}, "profiles": {"has_clusters": F.lit(False)}}.get(suite, {})


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "data_docs" / "2026-01-05.html"


def test_every_rule_of_every_suite_has_rows_here() -> None:
    assert {suite: list(rules) for suite, (_, _, rules) in ROWS.items()} == {
        suite: [rule.rule for rule in load_suite(suite).rules] for suite in ALL_SUITES
    }


def test_only_the_rules_named_here_warn() -> None:
    warn = {
        (suite, rule.rule) for suite in ALL_SUITES for rule in load_suite(suite).rules if rule.severity != "critical"
    }
    assert warn == WARNINGS


@pytest.mark.parametrize("suite", sorted(set(ALL_SUITES) - COMPUTED))
def test_the_columns_of_a_suite_are_those_of_its_table(suite: str, spark: Any) -> None:
    schema = pa.schema([pa.field(column.name, column.type) for column in declared_columns(suite)])
    rows = spark.createDataFrame(schema.empty_table()).withColumns(added(suite))
    assert [one.row_count for one in measure({suite: rows}, [load_suite(suite)])] == [0] * len(ROWS[suite][2])


@pytest.mark.parametrize("suite", ALL_SUITES)
def test_good_rows_pass_every_rule(suite: str, frame_of, page: Path) -> None:
    columns, good, rules = ROWS[suite]
    found = check({suite: frame_of([good], columns)}, "audit", page)
    assert [one.name for one in found] == [f"{suite}: {rule}" for rule in rules]
    assert all((one.broken_count, one.row_count) == (0, 1) and one.rule.why for one in found)


@pytest.mark.parametrize(("suite", "rule"), sorted(set(ALL_RULES) - WARNINGS - DESCRIBED))
def test_a_broken_rule_is_named_with_its_counts_and_why(suite: str, rule: str, frame_of, page: Path) -> None:
    columns, good, rules = ROWS[suite]
    changes, broken_count = rules[rule]
    rows = [good, *({**good, **change} for change in changes)]
    with pytest.raises(GateError) as raised:
        check({suite: frame_of(rows, columns)}, "audit", page)
    first, line, keys = str(raised.value).splitlines()
    [why] = [one.why for one in load_suite(suite).rules if one.rule == rule]
    assert first == f"{suite}: 1 broken of {len(rules)} rules; nothing was published"
    assert line == f"  {suite}: {rule}: {broken_count} of {len(rows)} rows. {why}"
    assert keys.startswith("    such as ") and len(keys) > 12


def test_too_many_rejects_are_told_by_source_day_counts_reasons_and_commands(frame_of, page: Path) -> None:
    columns, good, _ = ROWS["line_accounting"]
    bad = {"source": "myshop", "day": "2026-03-01", "lines_in": 110, "accepted": 60, "rejects": 50,
           "duplicates": 0, "excluded": 10, "rejected": 40, "reject_share": 0.4,
           "reasons": "30 unparsable, 10 missing_user"}  # fmt: skip
    with pytest.raises(GateError) as raised:
        check({"line_accounting": frame_of([good, {**good, **bad}], columns)}, "audit", page)
    first, line, *commands = str(raised.value).splitlines()
    assert first == "line_accounting: 1 broken of 3 rules; nothing was published"
    assert line.startswith(
        "  line_accounting: at most a fifth of the lines is rejected: myshop 2026-03-01: 40 of 100 lines "
        "(30 unparsable, 10 missing_user). if more than a fifth"
    )
    assert [command.split(": ", 1)[1].strip() for command in commands] == [
        "throughline rejects list --unpublished --source myshop --from 2026-03-01 --to 2026-03-01",
        "throughline rejects replay --source myshop.toml --dry-run, then without --dry-run",
        "throughline landed drop --source myshop --day 2026-03-01",
    ]


def test_lost_profiles_and_moved_tags_are_told_by_counts_and_what_to_set(frame_of, page: Path) -> None:
    columns, good, _ = ROWS["model_output"]
    bad = {"missing_count": 3, "scored_count": 40, "tag_drift": 0.8123}
    with pytest.raises(GateError) as raised:
        check({"model_output": frame_of([{**good, **bad}], columns)}, "audit", page)
    first, *lines = str(raised.value).splitlines()
    assert first == "model_output: 3 broken of 4 rules; nothing was published"
    messages = [line.split(": ", 2)[2] for line in lines]
    assert messages[0].startswith("2026-01-05: 3 users with new events have no profile, 40 have one")
    assert (
        messages[1].startswith("2026-01-05: 40 users with new events, 1000 in the release before")
        and "min_coverage = 0" in messages[1]
    )
    assert "distance 0.812 to the day before, of 100 users" in messages[2] and "max_tag_drift = 1" in messages[2]


def test_a_day_that_is_set_aside_is_a_warning_with_source_day_and_counts(frame_of, page: Path, capsys: Any) -> None:
    columns, good, _ = ROWS["line_accounting"]
    bad = {"source": "poison", "lines_in": 6, "accepted": 0, "duplicates": 0, "rejects": 6, "set_aside": 6,
           "rejected": 2, "reject_share": 0.33, "reasons": "2 implausible_time"}  # fmt: skip
    check({"line_accounting": frame_of([good, {**good, **bad}], columns)}, "audit", page)
    printed = capsys.readouterr().out
    assert "no day is set aside: poison 2026-01-05: 2 of 6 lines (2 implausible_time). too many lines" in printed
    assert "throughline rejects list --source poison --from 2026-01-05 --to 2026-01-05" in printed


def test_a_warning_is_printed_recorded_and_stops_nothing(frame_of, page: Path, capsys: Any) -> None:
    """One id on many devices: matomo-org/matomo-sdk-android issue 384, habitlab/habitlab issue 388."""
    columns, good, _ = ROWS["users"]
    many = [{**good, "user_id": f"{number:064x}", "device_count": 21 + number} for number in range(5)]
    [found] = check({"users": frame_of([good, *many], columns)}, "audit of 2026-01-05", page)
    assert (found.broken_count, found.row_count, found.is_warning) == (5, 6, True)
    printed = capsys.readouterr().out
    assert f"warning: users: a user has at most 20 devices a day: web 2026-01-05: user {0:064x} has 21 dev" in printed
    assert "; and 2 more. one id on many devices" in printed
    assert "warning: one id on many devices" in page.read_text()
    [calm] = check({"users": frame_of([good], columns)}, "audit of 2026-01-05", page)
    assert not calm.is_warning


def test_all_broken_rules_of_all_suites_are_in_one_message(frame_of, page: Path) -> None:
    written, wanted = {}, []
    for suite, (columns, good, rules) in ROWS.items():
        rows = [{**good, **change} for changes, _ in rules.values() for change in changes]
        written[suite] = frame_of([good, *rows], columns)
        wanted += [
            f"  {suite}: {rule}: " for rule in rules if not rule.startswith("most ") and (suite, rule) not in WARNINGS
        ]
    with pytest.raises(GateError) as raised:
        check(written, "audit", page)
    first, *lines = str(raised.value).splitlines()
    assert first.startswith(
        "events: 6 broken of 7 rules, line_accounting: 2 broken of 3 rules, "
        "model_output: 3 broken of 4 rules, profiles: 10 broken of 11"
    )
    of_rules = [line for line in lines if line.startswith("  ") and line[2] != " "]
    assert [line.split(":", 2)[:2] for line in of_rules] == [rule.split(":", 2)[:2] for rule in wanted]


def test_keys_of_broken_rows_name_lines_and_sessions_but_no_raw_ids(frame_of, page: Path) -> None:
    def message(suite: str) -> str:
        columns, good, rules = ROWS[suite]
        rows = [{**good, **change} for changes, _ in rules.values() for change in changes]
        with pytest.raises(GateError) as raised:
            check({suite: frame_of([good, *rows], columns)}, "audit", page)
        return str(raised.value)

    of_events = message("events")
    assert "user_id is a pseudonym: 2 of 11 rows" in of_events
    assert "    such as web 2026-01-05 log:2, web 2026-01-05 log:3" in of_events.splitlines()
    assert "u-1042" not in of_events
    assert "    such as v" in message("sessions").splitlines()
    of_sequences = message("sequences")
    assert f"    such as 2026-01-05 {USER}" in of_sequences.splitlines()
    assert of_sequences.count("such as 2026-01-05 a user without a pseudonym, 2026-01-05 a user without") == 1
    assert "u-tags" not in of_sequences
    assert "    such as web 2026-01-05, web 2026-01-05" in message("line_accounting").splitlines()


@pytest.mark.parametrize("suite", ALL_SUITES)
def test_no_rows_pass(suite: str, frame_of, page: Path) -> None:
    """An empty day is no fault."""
    assert all(one.broken_count == 0 for one in check({suite: frame_of([], ROWS[suite][0])}, "audit", page))


def test_where_clusters_stand_in_for_tags_profiles_without_interests_pass(frame_of) -> None:
    columns, good, _ = ROWS["profiles"]
    for has_clusters, broken_count in ((False, 1), (True, 0)):
        rows = [good, {**good, "user_id": OTHER, "interests": [], "has_clusters": has_clusters}]
        figures = measure({"profiles": frame_of(rows, columns)}, [load_suite("profiles")])
        [found] = [one for one in figures if "most profiles" in one.name]
        assert found.broken_count == broken_count


def test_all_suites_are_one_query_and_keep_nothing_in_memory(spark: Any, frame_of) -> None:
    rows = {suite: frame_of([ROWS[suite][1]], ROWS[suite][0]) for suite in ALL_SUITES}
    queries = spark._jsparkSession.sharedState().statusStore()
    # Of its queries, Spark keeps the newest thousand.
    before, kept = queries.executionsList().last().executionId(), set(spark.sparkContext._jsc.getPersistentRDDs())
    figures = measure(rows, [load_suite(suite) for suite in ALL_SUITES])
    assert {one.suite: one.row_count for one in figures} == dict.fromkeys(ALL_SUITES, 1)
    assert queries.executionsList().last().executionId() == before + 1
    assert set(spark.sparkContext._jsc.getPersistentRDDs()) <= kept


def test_the_page_shows_every_rule_with_its_why(frame_of, page: Path) -> None:
    columns, good, rules = ROWS["events"]
    page.parent.mkdir()
    page.write_text("of an earlier run")
    with pytest.raises(GateError):
        check({"events": frame_of([good, good], columns)}, "audit of 2026-01-05", page)
    shown = page.read_text()
    assert "audit of 2026-01-05" in shown and "of an earlier run" not in shown
    assert all(f"events: {rule}: " in shown for rule in rules)
    assert "only pseudonyms are stored; a raw id here would be a leak (2 rows; " in shown


@pytest.fixture
def own_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame_of, page: Path) -> Callable[..., Any]:
    """Return the function that checks the values of a column `a` against a suite of given rules."""

    def check_against(*rules: dict[str, Any], values: tuple[Any, ...] = (1, -1)) -> Any:
        (tmp_path / "own.json").write_text(json.dumps({"key": "a", "rules": rules}))
        monkeypatch.setattr(figures, "SUITES", tmp_path)
        return check({"own": frame_of([{"a": value} for value in values], "a BIGINT")}, "audit", page)

    return check_against


def rule(**parts: Any) -> dict[str, Any]:
    return {key: value for key, value in {"rule": "a rule", "why": "it matters", **parts}.items() if value is not None}


def expect(kind: str = "expect_column_max_to_be_between", **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            rule(broken="a < 0", expect=expect("expect_column_max_to_be_betwen", column="broken", max_value=0)),
            "suite own: a rule cannot be built: own: a rule: expect_column_max_to_be_betwen not found",
        ),
        (
            rule(broken="a < 0", expect=expect(column="broken", max_valeu=0)),
            "suite own: a rule cannot be built: own: a rule: .*max_valeu",
        ),
        (
            rule(broken="a < 0", expect=expect(column="brokn", max_value=0)),
            'own: a rule could not be run: .*"own: a rule: brokn"',
        ),
        (rule(broken="b < 0"), "suite own, rule `a rule` cannot be computed: .*`b`"),
        (rule(unique=["b"]), "suite own, rule `a rule` cannot be computed: .*`b`"),
        (rule(broken="a <"), "suite own, rule `a rule` cannot be computed: .*SYNTAX"),
        (rule(broken="a < 0", why=None), r"own\.json: rule `a rule` has no why: each rule must give its reason"),
        (rule(broken="a < 0", severity="wrning"), "rule `a rule`: severity must be one of critical, warning"),
        (rule(), r"own\.json: rule `a rule` must have one of `broken` and `unique`"),
        (rule(broken="a < 0", unique=["a"]), r"own\.json: rule `a rule` must have one of `broken` and `unique`"),
        (rule(broken="a < 0", mostly=0.5), r"own\.json: a rule has an unknown key: .*mostly"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_an_error(own_suite, wrong: dict[str, Any], message: str) -> None:
    """A typo must not disable a check."""
    sound = rule(rule="a sound rule", broken="a > 100")
    with pytest.raises(InputError, match=message) as raised:
        own_suite(sound, wrong)
    assert not isinstance(raised.value, GateError)


def test_two_rules_of_one_name_are_an_error(own_suite) -> None:
    with pytest.raises(InputError, match="audit: 2 rules declared, but 1 run"):
        own_suite(rule(broken="a > 100"), rule(broken="a < -100"))


@pytest.mark.parametrize(("most", "is_passed"), [(0.5, True), (0.4, False)])
def test_a_share_tolerates_broken_rows_and_counts_them(own_suite, most: float, is_passed: bool) -> None:
    tolerant = rule(broken="a < 0", expect=expect(column="share", max_value=most))
    if is_passed:
        [found] = own_suite(tolerant)
        assert (found.broken_count, found.row_count) == (1, 2)
    else:
        with pytest.raises(GateError, match=r"own: a rule: 1 of 2 rows\. it matters"):
            own_suite(tolerant)


@pytest.mark.parametrize(("copies", "broken_count"), [([], 0), ([{"a": 1}], 2)])
def test_keys_of_one_hash_are_compared(frame_of, copies: list[dict[str, int]], broken_count: int) -> None:
    """The hash of Spark skips nulls, so these two keys have one."""
    rows = frame_of([{"a": 1}, {"b": 1}, *copies], "a BIGINT, b BIGINT")
    assert rows.select(F.xxhash64("a", "b")).distinct().count() == 1
    [found] = measure({"own": rows}, [Suite("own", "a", [Rule("a rule", "it matters", unique=["a", "b"])])])
    assert (found.broken_count, found.row_count) == (broken_count, 2 + len(copies))


def test_a_null_breaks_no_condition(own_suite) -> None:
    [found] = own_suite(rule(broken="a < 0"), values=(None, 1))
    assert (found.broken_count, found.row_count) == (0, 2)


@pytest.mark.parametrize("job", ["clean", "sessions", "sequences", "profiles", "publish", "audit"])
def test_only_running_an_audit_imports_great_expectations(job: str) -> None:
    """The import takes seconds. `audit` starts it in a thread, while Spark starts."""
    code = f"import sys, pipeline.jobs.{job}; print('great_expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
