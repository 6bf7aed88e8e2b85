"""Copies of events: a case is `tests/cases/duplicates/<what it shows>/`.

It holds `arrived.csv`, maybe `known.csv`, and what becomes of the lines: `expect_owners.csv`, `expect_copies.csv`,
`expect_filled.csv`.
"""

from datetime import date
from pathlib import Path

import pytest

from pipeline.transforms.deduplicate import deduplicate

CASES = sorted((Path(__file__).resolve().parents[2] / "cases" / "duplicates").iterdir())
ARRIVED = """
    source STRING, event_id STRING, arrival_day DATE, file STRING, line BIGINT, user_id STRING, event_at TIMESTAMP,
    event_type STRING, item_id STRING, tags ARRAY<STRING>, device_id STRING, received_at TIMESTAMP, sent_at TIMESTAMP,
    created_at TIMESTAMP, clock_correction_seconds DOUBLE, dwell_seconds DOUBLE, url STRING, referrer STRING,
    consent BOOLEAN, part INT, item_space STRING, tolerance_micros BIGINT
"""
ALIKE = {"source": "web", "user_id": "u", "event_at": "2026-01-05T10:00:00", "event_type": "view", "tags": "",
         "part": 1, "item_space": "web", "tolerance_micros": 600_000_000}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_copies_are_found_as_the_case_expects(case: Path, frame_of, read_csv, golden) -> None:
    arrived = [{**ALIKE, **row} for row in read_csv(case / "arrived.csv")]
    known = [{**ALIKE, **row} for row in read_csv(case / "known.csv")]
    first_day = date.fromisoformat(min(row["arrival_day"] for row in arrived))
    made = deduplicate(
        frame_of(arrived[::-1], ARRIVED),
        frame_of(known, f"{ARRIVED}, refused_on DATE, last_copy_on DATE"),
        first_day,
        duplicate_days=7,
    )
    frames = {"owners": made.owners, "copies": made.copies, "filled": made.filled}
    found = {name: [row.asDict() for row in frame.collect()] for name, frame in frames.items()}
    made.owners.sparkSession.catalog.clearCache()

    for name, rows in found.items():
        rows.sort(key=lambda row: (row["event_id"], row["arrival_day"], row["file"], row["line"], row["part"]))
        golden(case / f"expect_{name}.csv", rows)
    assert len(found["owners"]) + len(found["copies"]) == len(arrived), "every line is an event or a copy"
