"""Whole runs: a case is `tests/cases/nights/<what it shows>/`, with a log of the demo's source and the expected tables.

`<arrival day>.jsonl` are the lines of a day; `expect_<table>.csv` the rows after one night over all of the days.
"""

from datetime import date
from pathlib import Path

import pytest

from pipeline.sources.schema import load_source, source_file

CASES = sorted((Path(__file__).resolve().parents[2] / "cases" / "nights").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_tables_are_as_the_case_expects(case: Path, nights_of, golden) -> None:
    log = {date.fromisoformat(file.stem): file.read_text().splitlines() for file in sorted(case.glob("*.jsonl"))}
    night = nights_of(load_source(source_file("demo"))).land(log).run(min(log), max(log))
    expected = sorted(case.glob("expect_*.csv"))
    assert expected, "a case expects something"
    for file in expected:
        rows = night.tables[file.stem.removeprefix("expect_")]
        golden(file, sorted(rows, key=lambda row: (row.get("event_id", ""), str(row.get("started_at", "")))))
