"""Gates: every suite accepts a good frame, and names each broken rule of a bad one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import GateError, InputError
from pipeline.quality import gates
from pipeline.quality.gates import SUITES, check, load_suite

USER = "a" * 64
ALL_SUITES = sorted(file.stem for file in SUITES.glob("*.json"))

# Per suite: the frame's columns, a good row, and changes to it, each with the rules that it breaks.
FRAMES: dict[str, tuple[str, dict[str, Any], list[tuple[dict[str, Any], list[str]]]]] = {
    "events": (
        "source STRING, file STRING, line BIGINT, arrival_day DATE, user_id STRING, device_id STRING, "
        "event_at TIMESTAMP, weight DOUBLE, bot_class STRING, event_id STRING",
        {
            "source": "web", "file": "log", "line": 1, "arrival_day": "2026-01-05", "user_id": USER, "device_id": None,
            "event_at": "2026-01-05T10:00:00", "weight": 1.0, "bot_class": "human", "event_id": "e",
        },
        [
            ({"line": 1}, ["expect_compound_columns_to_be_unique(source+file+line+arrival_day): 2 of "]),
            (
                {
                    "line": 2, "user_id": "u-1042", "device_id": "d-1", "weight": -1.0, "bot_class": "alien",
                    "event_at": None,
                },
                [
                    "(user_id): 1 of", "(device_id): 1 of", "(weight): 1 of", "in_set(bot_class): 1 of",
                    "(event_at): 1 of",
                ],
            ),
        ],
    ),
    "line_accounting": (
        "source STRING, day DATE, lines_in BIGINT, accounted BIGINT, reject_share DOUBLE",
        {"source": "web", "day": "2026-01-05", "lines_in": 10, "accounted": 10, "reject_share": 0.1},
        [({"accounted": 9, "reject_share": 0.21}, ["(lines_in): 1 of", "(reject_share): 1 of"])],
    ),
    "profiles": (
        "user_id STRING, as_of DATE, model_version STRING, return_probability DOUBLE, interest_count INT, "
        "highest_affinity DOUBLE, lowest_affinity DOUBLE, out_of_order INT, days_ahead INT",
        {
            "user_id": USER, "as_of": "2026-01-05", "model_version": "m", "return_probability": 0.5,
            "interest_count": 3, "highest_affinity": 1.0, "lowest_affinity": 0.0, "out_of_order": 0, "days_ahead": 0,
        },
        [
            ({}, ["expect_compound_columns_to_be_unique(user_id+as_of): 2 of"]),
            (
                {
                    "user_id": "b" * 64, "return_probability": 1.1, "highest_affinity": 1.5, "lowest_affinity": -0.1,
                    "out_of_order": 1, "days_ahead": 1,
                },
                [
                    "(return_probability): 1 of", "(highest_affinity): 1 of", "(lowest_affinity): 1 of",
                    "(out_of_order): 1 of", "(days_ahead): 1 of",
                ],
            ),
        ],
    ),
    "sequences": (
        "user_id STRING, as_of DATE, length INT, beyond_length INT, misaligned_by INT, out_of_order INT, "
        "days_ahead INT",
        {
            "user_id": USER, "as_of": "2026-01-05", "length": 3, "beyond_length": -509, "misaligned_by": 0,
            "out_of_order": 0, "days_ahead": -2,
        },
        [
            ({}, ["expect_compound_columns_to_be_unique(user_id+as_of): 2 of"]),
            (
                {
                    "user_id": "b" * 64, "length": 0, "beyond_length": 1, "misaligned_by": 1, "out_of_order": 1,
                    "days_ahead": 1,
                },
                [
                    "(length): 1 of", "(beyond_length): 1 of", "(misaligned_by): 1 of", "(out_of_order): 1 of",
                    "(days_ahead): 1 of",
                ],
            ),
        ],
    ),
    "sessions": (
        "session_id STRING, event_count INT, duration_seconds DOUBLE, started_at TIMESTAMP, run_started_at TIMESTAMP, "
        "split_reason STRING",
        {
            "session_id": "s", "event_count": 1, "duration_seconds": 0.0, "started_at": "2026-01-05T10:00:00",
            "run_started_at": "2026-01-05T10:00:00", "split_reason": "gap",
        },
        [
            ({}, ["expect_column_values_to_be_unique(session_id): 2 of"]),
            (
                {
                    "session_id": "t", "event_count": 0, "duration_seconds": -1.0, "split_reason": "whim",
                    "run_started_at": "2026-01-05T11:00:00",
                },
                ["(event_count): 1 of", "(duration_seconds): 1 of", "(split_reason): 1 of", "(started_at): 1 of"],
            ),
        ],
    ),
}  # fmt: skip


def test_every_suite_has_frames_here() -> None:
    assert sorted(FRAMES) == ALL_SUITES


@pytest.mark.parametrize("suite", ALL_SUITES)
def test_a_good_frame_passes_every_rule(suite: str, frame_of) -> None:
    columns, good, _ = FRAMES[suite]
    results = check(frame_of([good], columns), suite)
    assert len(results) == len(load_suite(suite))
    assert all(one.is_passed and one.why and one.broken_count == 0 for one in results)


@pytest.mark.parametrize("suite", ALL_SUITES)
def test_a_bad_frame_is_reported_rule_by_rule(suite: str, frame_of) -> None:
    columns, good, changes = FRAMES[suite]
    rows = [good, *({**good, **change} for change, _ in changes)]
    with pytest.raises(GateError) as raised:
        check(frame_of(rows, columns), suite)
    first, *lines = str(raised.value).splitlines()
    wanted = [rule for _, rules in changes for rule in rules]
    assert first == f"{suite}: {len(wanted)} broken of {len(load_suite(suite))} rules; nothing was published"
    whys = {rule["meta"]["why"] for rule in load_suite(suite)}
    for rule in wanted:
        (line,) = [line for line in lines if rule in line]
        assert f"of {len(rows)} rows. " in line and line.partition(" rows. ")[2] in whys


@pytest.mark.parametrize("suite", ALL_SUITES)
def test_an_empty_frame_passes(suite: str, frame_of) -> None:
    """An empty day is no fault."""
    assert all(one.is_passed for one in check(frame_of([], FRAMES[suite][0]), suite))


@pytest.fixture
def suite_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return the function that writes a suite of given rules and returns its name."""

    def write(*rules: dict[str, Any]) -> str:
        (tmp_path / "own.json").write_text(json.dumps(rules))
        monkeypatch.setattr(gates, "SUITES", tmp_path)
        return "own"

    return write


def rule(kind: str, why: str | None = "it matters", **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"why": why} if why else {}}


def test_a_rule_of_a_misspelt_type_is_an_error(suite_of, frame_of) -> None:
    suite = suite_of(rule("expect_column_values_to_not_be_nul", column="a"))
    with pytest.raises(InputError, match=r"suite own: a rule cannot be built.*expect_column_values_to_not_be_nul"):
        check(frame_of([{"a": "x"}], "a STRING"), suite)


def test_a_rule_with_a_misspelt_keyword_is_an_error(suite_of, frame_of) -> None:
    suite = suite_of(rule("expect_column_values_to_be_between", column="a", min_valeu=0))
    with pytest.raises(InputError, match="own"):
        check(frame_of([{"a": -1}], "a BIGINT"), suite)


def test_a_rule_on_a_missing_column_is_an_error(suite_of, frame_of) -> None:
    suite = suite_of(rule("expect_column_values_to_not_be_null", column="b"))
    with pytest.raises(InputError, match=r"expect_column_values_to_not_be_null\(b\) could not be run"):
        check(frame_of([{"a": "x"}], "a STRING"), suite)


def test_a_rule_without_why_is_an_error_that_names_file_and_rule(suite_of) -> None:
    suite = suite_of(rule("expect_column_values_to_not_be_null", why=None, column="a"))
    with pytest.raises(InputError, match=r"own\.json: expect_column_values_to_not_be_null has no meta\.why"):
        load_suite(suite)


def test_mostly_tolerates_broken_rows_and_counts_them(suite_of, frame_of) -> None:
    suite = suite_of(rule("expect_column_values_to_not_be_null", column="a", mostly=0.5))
    (result,) = check(frame_of([{"a": "x"}, {"a": None}], "a STRING"), suite)
    assert (result.is_passed, result.broken_count, result.row_count) == (True, 1, 2)
