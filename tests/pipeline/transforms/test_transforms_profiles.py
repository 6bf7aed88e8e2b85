"""From the files of a model in the exchange folder to rows of the table `profiles`."""

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from model.data.profiles import PROFILES
from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.transforms.model_output import model_output
from pipeline.transforms.profiles import profiles, read_scores
from pipeline.transforms.rows import frame_of_rows

SUNDAY, MONDAY = date(2026, 1, 4), date(2026, 1, 5)


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    """Scores of Monday, and of a Sunday left by an earlier run with the same id."""
    (tmp_path / "profiles").mkdir()
    for day in (SUNDAY, MONDAY):
        pq.write_table(scores_of(day), tmp_path / "profiles" / f"as_of={day}.parquet")
    manifest = {"days": [str(MONDAY)], "input_snapshots": {"sequences": 17}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def scores_of(day: date) -> pa.Table:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    row: dict[str, Any] = {
        "user_id": "u",
        "as_of": day,
        "horizon_days": 7,
        "interests": [
            {"tag": "tea", "affinity": 0.5, "rank": 1, "trend": 0.0, "is_new": False, "evidence": ["session"]}
        ],
        "top_items": [
            {"item": 2, "score": 0.9, "reason": "followed", "reason_item": 1},
            {"item": 1, "score": 0.8, "reason": "interest", "reason_tag": "tea"},
            {"item": 3, "score": 0.7, "reason": "repeat"},
        ],
        "return_probability": 0.5,
        "embedding": [],
        "event_count": 1,
        "session_count": 1,
        "last_event_at": at,
        "cohort": "1",
        "model_version": "counts-1",
        "scored_at": at,
    }
    return pa.Table.from_pylist([row], schema=PROFILES)


def test_days_that_another_run_left_are_none_of_this_night(spark: SparkSession, exchange: Path) -> None:
    scores, snapshots = read_scores(spark, exchange, [MONDAY])
    assert [row.as_of for row in scores.collect()] == [MONDAY]
    assert snapshots == {"sequences": 17}


def test_a_day_that_the_model_has_not_scored_is_named(spark: SparkSession, exchange: Path) -> None:
    with pytest.raises(InputError, match=f"no scores of {SUNDAY} in .*: run the step `score`"):
        read_scores(spark, exchange, [SUNDAY, MONDAY])


def test_a_model_that_has_not_ended_is_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the step `score` of this run has not ended"):
        read_scores(spark, tmp_path, [MONDAY])


def test_parts_are_read_together_and_a_missing_one_is_named(spark: SparkSession, exchange: Path) -> None:
    parts = [exchange.with_name(f"{exchange.name}.part-{number}-of-2") for number in (1, 2)]
    shutil.copytree(exchange, parts[1])
    (exchange / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"no scores in .*\.part-1-of-2: this part of the step `score` has not ended"):
        read_scores(spark, exchange, [MONDAY])
    shutil.copytree(parts[1], parts[0])
    scores, snapshots = read_scores(spark, exchange, [MONDAY])
    assert [row.as_of for row in scores.collect()] == [MONDAY, MONDAY] and snapshots == {"sequences": 17}
    manifest = parts[0] / "manifest.json"
    manifest.write_text(manifest.read_text().replace("17", "18"))
    with pytest.raises(InputError, match="are of different snapshots: run the step `score` again"):
        read_scores(spark, exchange, [MONDAY])


def test_items_are_named_in_their_order_and_unknown_ones_left_out(spark: SparkSession, exchange: Path) -> None:
    scores, snapshots = read_scores(spark, exchange, [MONDAY])
    items = frame_of_rows(spark, [(1, "i-1", "Teapot"), (2, "i-2", None)], "item long, item_id string, title string")
    (row,) = profiles(scores, items, "run", snapshots, "1.0", "hash").collect()
    assert [tuple(one) for one in row.top_items] == [
        ("i-2", None, 0.9, "followed", None, "i-1"),
        ("i-1", "Teapot", 0.8, "interest", "tea", None),
    ]
    assert (row.run_id, row.input_snapshots) == ("run", {"sequences": 17})


def test_the_output_of_a_model_is_compared_with_the_day_before_and_the_release_before(frame_of) -> None:
    """Two users of both days move half of their affinity from tea to soup; one with new events has no profile."""
    ddl = "user_id STRING, as_of DATE, model_version STRING, interests ARRAY<STRUCT<tag: STRING, affinity: DOUBLE>>"
    tea, soup = {"tag": "tea", "affinity": 0.4}, {"tag": "soup", "affinity": 0.4}

    def row(user: str, day: date, *interests: dict[str, Any]) -> dict[str, Any]:
        return {"user_id": user, "as_of": day, "model_version": "boosting-1.20251231.2", "interests": list(interests)}

    rows = [row("a", SUNDAY, tea), row("b", SUNDAY, tea), row("a", MONDAY, tea, soup), row("b", MONDAY, tea, soup),
            row("new", MONDAY, soup), row("gone", SUNDAY, soup)]  # fmt: skip
    users = frame_of([row("a", MONDAY), row("lost", MONDAY), row("lost", SUNDAY)], "user_id STRING, as_of DATE")
    before = frame_of([row(one, MONDAY) for one in ("a", "lost", "bot")], "user_id STRING, as_of DATE")
    (found,) = model_output(frame_of(rows, ddl), users, before, DayRange(MONDAY, MONDAY)).collect()
    assert (found.as_of, found.scored_count, found.missing_count, found.count_before) == (MONDAY, 1, 1, 3)
    assert (found.model_age_days, found.common_user_count, found.tag_drift) == (5, 2, 0.5)
    built_in = frame_of([{**row("a", MONDAY), "model_version": "counts-1"}], ddl)
    (found,) = model_output(built_in, users.limit(0), users, DayRange(MONDAY, MONDAY)).collect()
    assert (found.model_age_days, found.common_user_count, found.tag_drift, found.missing_count) == (None, 0, None, 0)
