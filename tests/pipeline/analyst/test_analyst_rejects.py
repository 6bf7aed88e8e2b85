"""`rejects list` shows why lines were rejected, since when, and what they look like."""

from datetime import date
from typing import Any

import pytest

from pipeline.analyst.rejects import RejectFilter, format_rejects, list_rejects
from pipeline.analyst.release import newest_release
from pipeline.analyst.render import render
from pipeline.errors import InputError
from pipeline.escape import printable

DAYS = [date(2026, 1, day) for day in (29, 30, 31)]
UNKNOWN = {"source": "shop", "reason": "unknown_event_type", "file": "log.jsonl"}


@pytest.fixture
def three_days(warehouse: Any) -> Any:
    """Three days of `shop` with 100 lines each, and a source `blog` without rejected lines."""
    for day in DAYS:
        clean = {"step": "clean", "day": day, "rows_in": 100, "rows_out": {}}
        warehouse.append("runs", {**clean, "source": "shop"}, {**clean, "source": "blog"})
        warehouse.append("rejects", *[
            {**UNKNOWN, "arrival_day": day, "line": line, "detail": "wishlist"} for line in (1, 2)
        ])  # fmt: skip
        warehouse.land("shop", day, "log.jsonl", {line: f"{'w' if line < 3 else 'g'}{line}" for line in (1, 2, 3, 4)})
    warehouse.append("rejects", {**UNKNOWN, "arrival_day": DAYS[0], "line": 3, "detail": "gift"})
    half = {"source": "shop", "reason": "unparsable", "file": "b.jsonl", "detail": "no JSON"}
    warehouse.append("rejects", {**half, "arrival_day": DAYS[1], "line": 9})
    warehouse.land("shop", DAYS[1], "b.jsonl", {9: '{"half": \x1b[31m[red]\t' + "x" * 300})
    warehouse.publish(DAYS[-1])
    return warehouse


def test_lines_are_counted_by_source_and_reason(three_days: Any) -> None:
    rows = list_rejects(three_days.catalog, RejectFilter(), 3, three_days.zone).to_pylist()
    assert [(row["source"], row["reason"], row["line_count"], row["share"]) for row in rows] == [
        ("shop", "unknown_event_type", 7, 7 / 300),
        ("shop", "unparsable", 1, 1 / 300),
    ]
    assert [(row["first_arrival_day"], row["last_arrival_day"]) for row in rows] == [(DAYS[0], DAYS[2]), (DAYS[1],) * 2]


@pytest.mark.parametrize(("wanted", "texts"), [(0, []), (1, ["w1"]), (2, ["w1", "g3"]), (3, ["w1", "g3", "w2"])])
def test_examples_are_the_newest_line_of_each_detail_first(three_days: Any, wanted: int, texts: list[str]) -> None:
    chosen = RejectFilter(reason="unknown_event_type")
    [row] = list_rejects(three_days.catalog, chosen, wanted, three_days.zone).to_pylist()
    assert [one["text"] for one in row["examples"]] == texts
    assert row["line_count"] == 7
    if wanted:
        assert row["examples"][0] == {
            "arrival_day": DAYS[2], "file": "log.jsonl", "line": 1, "detail": "wishlist", "text": "w1",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "counts"),
    [
        (RejectFilter(first=DAYS[1]), {"unknown_event_type": 4, "unparsable": 1}),
        (RejectFilter(last=DAYS[0]), {"unknown_event_type": 3}),
        (RejectFilter("shop", "unparsable", DAYS[1], DAYS[1]), {"unparsable": 1}),
        (RejectFilter("blog"), {}),
        (RejectFilter(first=date(2026, 2, 1)), {}),
    ],
    ids=str,
)
def test_lines_are_chosen_by_source_reason_and_days(
    three_days: Any, chosen: RejectFilter, counts: dict[str, int]
) -> None:
    rows = list_rejects(three_days.catalog, chosen, 1, three_days.zone).to_pylist()
    assert {row["reason"]: row["line_count"] for row in rows} == counts


def test_a_line_that_left_the_landing_zone_has_no_text(three_days: Any, shown: Any) -> None:
    (three_days.zone.day_folder("shop", DAYS[1]) / "b.jsonl.parquet").unlink()
    chosen = RejectFilter(reason="unparsable")
    listed = list_rejects(three_days.catalog, chosen, 1, three_days.zone)
    assert listed.to_pylist()[0]["examples"][0]["text"] is None
    text = shown(format_rejects(listed, chosen, newest_release(three_days.catalog, None)))
    assert "b.jsonl:9  no JSON" in text and "(no longer in the landing zone)" in text


def test_the_share_is_of_the_lines_of_the_chosen_days(three_days: Any) -> None:
    [row] = list_rejects(three_days.catalog, RejectFilter(last=DAYS[0]), 1, three_days.zone).to_pylist()
    assert row["share"] == 3 / 100


def test_the_terminal_shows_counts_examples_and_the_next_step(three_days: Any, shown: Any) -> None:
    chosen = RejectFilter("shop")
    release = newest_release(three_days.catalog, None)
    text = shown(format_rejects(list_rejects(three_days.catalog, chosen, 2, three_days.zone), chosen, release))
    assert "Rejected lines of shop" in text and "2.33%" in text and "2026-01-29" in text
    assert "shop, unknown_event_type, for example" in text and "log.jsonl:1  wishlist" in text
    assert "b.jsonl:9  no JSON" in text
    assert r'{"half": \x1b[31m[red]\txxx' in text and "\x1b" not in text and "x" * 200 not in text
    assert max(len(line) for line in text.splitlines()) <= 200
    assert "throughline rejects replay --source my.toml" in text


def test_without_rejected_lines_the_message_says_so(three_days: Any, shown: Any) -> None:
    chosen = RejectFilter("blog", first=DAYS[1])
    release = newest_release(three_days.catalog, None)
    text = shown(format_rejects(list_rejects(three_days.catalog, chosen, 2, three_days.zone), chosen, release))
    assert text.strip() == "No rejected lines of blog from 2026-01-30 in the release of 2026-01-31."


def test_rejects_are_rendered_as_csv_and_json(three_days: Any) -> None:
    listed = list_rejects(three_days.catalog, RejectFilter(reason="unparsable"), 1, three_days.zone)
    csv = render(listed, "csv")
    assert isinstance(csv, str)
    assert csv.startswith(
        "source,reason,line_count,share,first_arrival_day,last_arrival_day,examples\nshop,unparsable,1"
    )
    assert '"line": 9' in str(render(listed, "json"))


def test_an_unknown_source_lists_the_known_ones(three_days: Any) -> None:
    with pytest.raises(InputError, match=r"no source 'shpo' in .* 2026-01-31: sources there are: blog, shop"):
        list_rejects(three_days.catalog, RejectFilter("shpo"), 1, three_days.zone)


def test_an_unknown_reason_lists_the_known_ones(three_days: Any) -> None:
    message = r"for the reason 'typo': reasons there are: unknown_event_type \(7 lines\), unparsable \(1 lines\)"
    with pytest.raises(InputError, match=message):
        list_rejects(three_days.catalog, RejectFilter("shop", "typo"), 1, three_days.zone)


def test_an_unpublished_night_is_not_listed(three_days: Any) -> None:
    three_days.append("rejects", {**UNKNOWN, "arrival_day": DAYS[2], "line": 50})
    assert list_rejects(three_days.catalog, RejectFilter(), 1, three_days.zone).to_pylist()[0]["line_count"] == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\tb", r"a\tb"), ("\x1b[31m", r"\x1b[31m"), ("a\u202eb", r"a\u202eb"), ("Grüße 漢", "Grüße 漢")],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert printable("y" * 5_000) == "y" * 1_000 + "…"
