"""A log that names items but no topics: clusters learnt from its history are the interests of the days after."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.end_to_end

FIRST, TRAINED, NEXT = date(2026, 1, 5), date(2026, 1, 7), date(2026, 1, 8)
GROUPS = (["spade", "trowel", "hoe", "rake"], ["pan", "pot", "wok", "kettle"], ["lute", "lyre", "harp", "fiddle"])
TOML = """
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


def write_log(folder: Path) -> None:
    """Thirty people, each with two sessions a day among the items of one group."""
    for number in range((NEXT - FIRST).days + 1):
        day = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=number)
        lines = []
        for person in range(30):
            group = GROUPS[person % len(GROUPS)]
            for visit in range(2):
                for step in range(3):
                    at = day + timedelta(hours=1 + 9 * visit, minutes=person + 2 * step, seconds=person)
                    item = group[(person // 3 + visit + step + number) % len(group)]
                    lines.append(json.dumps({"user": f"p{person}", "time": at.isoformat(), "item": item}))
        (folder / f"log-{day.date()}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_clusters_become_the_interests_of_the_days_after(own_installation: Any, tmp_path: Path) -> None:
    here = own_installation
    logs, toml = tmp_path / "logs", tmp_path / "bare.toml"
    logs.mkdir()
    write_log(logs)
    toml.write_text(TOML, encoding="utf-8")
    here.do("land", "--source", toml, logs)

    here.do("run", "--from", FIRST, "--to", TRAINED)
    assert here.ask("SELECT count(*) AS n FROM user_interests")[0]["n"] == 0
    assert "clusters-1.20260107 of bare: 12 items have a tag" in here.do("clusters", "--through", TRAINED)

    here.do("run", "--day", NEXT)
    version = here.ask("SELECT tag, list(item_id ORDER BY item_id) AS items FROM item_clusters GROUP BY tag")
    assert sorted(row["items"] for row in version) == sorted(sorted(group) for group in GROUPS)
    tags = {row["tag"] for row in version}
    assert {tag[:5] for tag in tags} == {"like "}
    top = here.ask(f"SELECT user_id, tag FROM user_interests WHERE as_of = DATE '{NEXT}' AND rank = 1")
    assert len(top) == 30 and {row["tag"] for row in top} == tags
