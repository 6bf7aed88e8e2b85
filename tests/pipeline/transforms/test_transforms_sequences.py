"""Sequences: a case is a folder `tests/cases/sequences/<what it shows>/` of `events.csv` and `expect.csv`."""

from pathlib import Path

import pytest
from pyspark.sql import functions as F

from pipeline.transforms.device_stitching import device_owners, device_users
from pipeline.transforms.sequences import excludes_item, sequences
from pipeline.transforms.sessions import Rules

CASES = sorted((Path(__file__).resolve().parents[2] / "cases" / "sequences").iterdir())
EVENTS = """
    source STRING, user_id STRING, device_id STRING, event_id STRING, event_at TIMESTAMP, arrival_day DATE,
    known_on DATE, file STRING, line BIGINT,
    part INT, sequence BIGINT, session_key STRING, item_space STRING,
    event_type STRING, weight DOUBLE, item_id STRING, tags ARRAY<STRING>,
    bot_class STRING, consent BOOLEAN, refused_on DATE
"""
ALIKE = {
    "source": "web", "user_id": "u", "file": "log", "part": 1, "item_space": "web",
    "event_type": "view", "weight": 1.0, "tags": "",
    "bot_class": "human",
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sequences_are_as_the_case_expects(case: Path, frame_of, read_csv, sources_of_case, golden) -> None:
    sources, options = sources_of_case(case)
    rows = []
    for number, row in enumerate(read_csv(case / "events.csv"), 1):
        event_on = row["event_at"][:10]
        arrival_day = row.get("arrival_day", event_on)
        known_on = max(event_on, arrival_day)
        rows.append({**ALIKE, "line": number, "arrival_day": arrival_day, "known_on": known_on, **row})
    events = frame_of(rows, EVENTS)
    named = events.select("known_on", "item_id", F.xxhash64("item_space", "item_id").alias("item")).collect()
    days = sorted({row.known_on for row in named})
    shares = {"web": options["most_users"]} if "most_users" in options else {}
    owners = device_owners(device_users(events, shares), shares)
    made = sequences(events, owners, days, Rules.of(sources), options.get("length", 512), excludes_item(sources))
    name_of = {row.item: row.item_id for row in named} | {0: "0"}

    listed = []
    for row in sorted(made.collect(), key=lambda row: (row.user_id, row.as_of)):
        sessions = list(dict.fromkeys(row.session_id))
        listed.append({
            **row.asDict(),
            "items": [name_of[item] for item in row.item],
            "tags": "|".join("+".join(sorted(tags)) for tags in row.tags),
            "excluded": sorted(name_of[item] for item in row.excluded_item),
            "actions": row.action,
            "weights": row.weight,
            "sessions": [sessions.index(one) + 1 for one in row.session_id],
        })  # fmt: skip
    golden(case / "expect.csv", listed)
