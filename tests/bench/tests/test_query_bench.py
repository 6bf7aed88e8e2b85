"""The benchmark of queries: both ways read the same profiles."""

from pathlib import Path

from tests.bench.query import DAYS, INTERESTS, QUERIES, ask, user_id, write_profiles


def test_both_ways_give_the_same_rows(tmp_path: Path) -> None:
    write_profiles(tmp_path, users=40)
    counts = {}
    for query in QUERIES:
        by_release, by_files = (ask(tmp_path, way, query, user_id(7)) for way in ("release", "files"))
        assert by_release["rows"] == by_files["rows"]
        counts[query] = len(by_release["rows"])
    assert counts["history of a user"] == DAYS * INTERESTS and counts["top tags"] == 10
