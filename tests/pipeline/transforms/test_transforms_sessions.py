"""Sessions: a case is `tests/cases/sessions/<what it shows>/`: `events.csv`, `expect.csv` and maybe `rules.toml`."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from pipeline.transforms.day_filters import any_of
from pipeline.transforms.incremental_sessions import MAX_DAYS
from pipeline.transforms.sessions import is_counted, sessionize, sessions_of

CASES = sorted((Path(__file__).resolve().parents[2] / "cases" / "sessions").iterdir())
EVENTS = """
    source STRING, user_id STRING, event_id STRING, event_at TIMESTAMP, arrival_day DATE, file STRING, line BIGINT,
    part INT, sequence BIGINT, session_key STRING, item_space STRING,
    event_type STRING, item_id STRING, tags ARRAY<STRING>, bot_class STRING, consent BOOLEAN
"""
ALIKE = {
    "source": "web", "user_id": "u", "file": "log", "part": 1, "item_space": "web",
    "event_type": "view", "tags": "", "bot_class": "human",
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_events_are_cut_as_the_case_expects(case: Path, frame_of, read_csv, rules_of_case, golden) -> None:
    rules, options = rules_of_case(case)
    rows = [
        {**ALIKE, "line": number, "arrival_day": row["event_at"][:10], **row}
        for number, row in enumerate(read_csv(case / "events.csv"), 1)
    ]
    newest = options.get("newest_day", max(row["arrival_day"] for row in rows))
    events = frame_of(rows, EVENTS).withColumn("is_counted", is_counted())
    made = sessions_of(sessionize(events, rules), rules, F.lit(newest).cast("date"))

    listed = []
    for row in made.orderBy("source", "user_id", "started_at", "ended_at", F.desc("is_counted")).collect():
        ids = [event.event_id for event in row.events]
        listed.append({**row.asDict(), "first_event": ids[0], "last_event": ids[-1], "events": ids})
        assert row.event_count == len(ids)
        assert (row.started_at, row.ended_at) == (row.events[0].event_at, row.events[-1].event_at)
    assert len({row["session_id"] for row in listed}) == len(listed)
    golden(case / "expect.csv", listed)


def test_a_filter_of_many_days_is_not_too_deep_for_spark_connect() -> None:
    from pyspark.sql.connect.functions import lit
    from pyspark.sql.connect.proto import Expression

    joined: Any = any_of(lit(True) for _ in range(MAX_DAYS))
    expression = joined._expr.to_plan(None)
    assert Expression.FromString(expression.SerializeToString()) == expression
