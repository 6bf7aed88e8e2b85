"""The real log of Taobao has the counts that its README states."""

from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.canonical import canonical_lines, with_reason
from pipeline.transforms.sessions import Rules, sessionize

LINES = "source STRING, arrival_day DATE, file STRING, line BIGINT, text STRING, header STRING"


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_taobao_has_the_events_and_sessions_that_it_is_known_for(real_data: Path, frame_of) -> None:
    source = load_source(source_file("taobao"))
    texts = (real_data / "taobao" / "UserBehavior.csv").read_text(encoding="utf-8").splitlines()
    alike = {"source": "taobao", "arrival_day": date(2017, 12, 4), "file": "log"}
    lines = frame_of([{**alike, "line": number, "text": text} for number, text in enumerate(texts, 1)], LINES)
    validated = with_reason(canonical_lines(lines, source), source.event_types, 1).persist()
    assert {row.reason: row["count"] for row in validated.groupBy("reason").count().collect()} == {
        None: 73_098, "unparsable": 1,
    }  # fmt: skip
    assert [row.line for row in validated.where("reason IS NOT NULL").collect()] == [len(texts)]

    events = validated.where("reason IS NULL").withColumns(
        {
            "event_id": F.col("line").cast("string"),
            "session_key": F.lit(None).cast("string"),
            "is_counted": F.lit(True),
        }
    )
    cut = sessionize(events, Rules.of({"taobao": source}))
    found = cut.agg(F.count_distinct("session_id").alias("sessions"), F.count("*").alias("events")).first()
    validated.unpersist()
    assert found is not None and (found.sessions, found.events) == (12_253, 73_098)
