"""Items of catalogues and of events."""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import functions as F

from pipeline.sources.rules import Sizes
from pipeline.sources.schema import Items
from pipeline.transforms.items import (
    CatalogueCounts,
    catalogue,
    count_records,
    items_of_catalogues,
    items_of_events,
    newest_records,
    with_catalogue_tags,
)

ITEMS = Items.model_validate(
    {
        "files": "catalogue*",
        "reader": {"format": "csv", "columns": ["id", "name", "words", "changed", "vector"]},
        "item_id": "id",
        "title": "name",
        "tags": "split(words, ' ')",
        "content": "from_json(vector, 'ARRAY<FLOAT>')",
        "updated_at": "to_timestamp(changed)",
    }
)
LINES = "file_order STRING, applies_from DATE, line BIGINT, text STRING, header STRING"
RECORDS = [
    ("0", 1, "by_time,new,tea tea  cup,2026-01-02 00:00:00,"),
    ("0", 2, "by_time,old,coffee,2026-01-01 00:00:00,"),
    ("1", 1, "by_file,second file,tea,,"),
    ("0", 3, "by_file,first file,coffee,,"),
    ("0", 5, "by_line,second,tea,,"),
    ("0", 4, "by_line,first,coffee,,"),
    ("0", 6, "dated,with a time,tea,2026-01-01 00:00:00,"),
    ("1", 2, "dated,without,coffee,,"),
    ("0", 7, 'bare,,,,"[1, 0.5]"'),
    ("0", 8, ",no id,tea,,"),
    ("0", 9, "cut,line"),
]


def lines_of(frame_of: Any, lines: Sequence[tuple[str, int, str]]) -> Any:
    """Return landed lines of a catalogue: the place of the file, the number of the line, its text."""
    return frame_of([{"file_order": order, "line": line, "text": text} for order, line, text in lines], LINES)


def test_the_newest_record_of_an_item_wins(frame_of) -> None:
    records = catalogue(lines_of(frame_of, RECORDS), ITEMS, "shop")
    found = {row.item_id: row for row in newest_records(records).collect()}
    assert {item: row.title for item, row in found.items()} == {
        "by_time": "new", "by_file": "second file", "by_line": "second", "dated": "with a time", "bare": None,
    }  # fmt: skip
    assert (found["by_time"].tags, found["bare"].tags) == (["tea", "cup"], [])
    assert (found["bare"].content, found["by_time"].content) == ([1.0, 0.5], [])


def test_a_record_larger_than_the_toml_allows_is_left_out(frame_of) -> None:
    sizes = Sizes(id_characters=4, text_characters=6, tags=2)
    records = ["four,title6,a bb,,", "fives,t,a,,", "a,title77,a,,", "b,t,a bb ccc,,", "c,t,fives,,", "d,,,,"]
    rows = [{"file_order": "0", "line": line, "text": text} for line, text in enumerate(records)]
    found = catalogue(frame_of(rows, LINES), ITEMS, "shop", sizes).orderBy("line").collect()
    assert [row.item_id for row in found] == ["four", "d"]
    unlimited = catalogue(frame_of(rows, LINES), ITEMS, "shop")
    assert unlimited.count() == len(records)


JOINED = [
    ("0", 1, "# id,words,,,"),
    ("0", 2, "whale,,sea,,"),
    ("0", 3, "chess,Chess,games,,"),
    ("0", 4, 'whale,Whale,animals sea,,"[1]"'),
    ("0", 5, "whale,,mammals,,"),
    ("1", 1, "chess,,boards,,"),
    ("1", 2, ",no id,tea,,"),
    ("1", 3, "cut,line"),
]


def test_of_many_lines_of_an_item_in_a_file_all_tags_count(frame_of) -> None:
    items = ITEMS.model_copy(update={"many_lines": True, "reader": ITEMS.reader.model_copy(update={"comment": "#"})})
    found = newest_records(catalogue(lines_of(frame_of, JOINED[::-1]), items, "shop")).orderBy("item_id").collect()
    assert [(row.item_id, row.title, row.tags, row.content) for row in found] == [
        ("chess", None, ["boards"], []),
        ("whale", "Whale", ["sea", "animals", "mammals"], [1.0]),
    ], "the record of chess in the second file is a newer one"


def test_what_a_catalogue_holds_is_counted_and_what_may_be_unexpected_is_said(frame_of) -> None:
    frame = lines_of(frame_of, JOINED)
    plain = count_records(frame, ITEMS)
    assert (plain.records, plain.items, plain.repeated_items, plain.left_out) == (6, 3, 1, 2), "the comment is an item"
    commented = ITEMS.model_copy(update={"reader": ITEMS.reader.model_copy(update={"comment": "#"})})
    assert count_records(frame, commented) == CatalogueCounts(5, 2, 1, 2, "line 2: no item_id")
    joined = count_records(frame, commented.model_copy(update={"many_lines": True}))
    assert (joined.records, joined.items, joined.repeated_items) == (3, 2, 0)
    found = " ".join(plain.warnings())
    assert "2 lines of the catalogue give no item" in found and "line 2: no item_id" in found
    assert "1 items have several records" in found and "many_lines" in found
    assert CatalogueCounts(3, 3, 0, 0, None).warnings() == []


def test_of_several_catalogues_of_one_space_the_newest_record_with_a_value_counts(frame_of) -> None:
    site = ['a,Zebra,stripes,2026-01-01 00:00:00,"[1, 2]"', "b,only here,tea,,"]
    app = ["a,Anvil,,2026-01-02 00:00:00,"]
    frames = [
        frame_of([{"file_order": "0", "line": 1, "text": text} for text in texts], LINES) for texts in (site, app)
    ]
    for order in (frames, frames[::-1]):
        rows = items_of_catalogues([catalogue(frame, ITEMS, "shop") for frame in order]).collect()
        assert sorted((row.item_id, row.title, row.tags, row.content) for row in rows) == [
            ("a", "Anvil", ["stripes"], [1.0, 2.0]), ("b", "only here", ["tea"], None),
        ]  # fmt: skip


EVENTS = "item_space STRING, item_id STRING, event_at TIMESTAMP, arrival_day DATE, tags ARRAY<STRING>"


def event(item: str | None, at: str = "2026-01-05T10:00:00", **more: str) -> dict[str, str | None]:
    return {"item_space": "shop", "item_id": item, "event_at": at, "arrival_day": at[:10], **more}


def test_an_event_without_tags_of_its_own_has_those_of_its_item(frame_of) -> None:
    """Catalogues of two sources list items of one space; one without tags takes none away."""
    events = [event("i", tags="own"), event("i"), event("other"), event(None), event("i", item_space="elsewhere")]
    texts = ["i,title,listed,,", "j,title,tea,,"]
    rows = [{"file_order": "0", "line": number, "text": text} for number, text in enumerate(texts)]
    titles = ITEMS.model_copy(update={"tags": None})
    listed = [catalogue(frame_of(rows, LINES), items, "shop") for items in (ITEMS, titles)]
    found = with_catalogue_tags(frame_of(events, EVENTS), listed).collect()
    assert sorted((row.item_space, row.item_id or "", row.tags) for row in found) == [
        ("elsewhere", "i", []), ("shop", "", []), ("shop", "i", ["listed"]), ("shop", "i", ["own"]),
        ("shop", "other", []),
    ]  # fmt: skip


# file, first arrival day that it applies to, line
HISTORY = [
    ("0", None, "i,,clay,2026-01-03 12:00:00,"),
    ("0", None, "i,,peat,2026-01-05 12:00:00,"),
    ("0", None, "i,,sand,2026-01-05 12:00:00,"),  # of equal times, the last landed counts
    ("0", None, "undated,,old,,"),
    ("1", "2026-01-08", "i,,loam,2026-01-04 12:00:00,"),
    ("1", "2026-01-08", "undated,,new,,"),
    ("1", "2026-01-08", "listed_later,,tea,2026-01-09 00:00:00,"),
]
# item, event_at, arrival day, tags
MOMENTS = [
    ("i", "2026-01-02T00:00:00", "2026-01-02", "clay"),  # before the first record
    ("i", "2026-01-03T12:00:00", "2026-01-03", "clay"),
    ("i", "2026-01-05T11:59:59", "2026-01-05", "clay"),
    ("i", "2026-01-05T12:00:00", "2026-01-05", "sand"),
    ("i", "2026-01-05T11:59:59", "2026-01-08", "loam"),  # late: it arrives when the second file applies
    ("i", "2026-01-08T00:00:00", "2026-01-08", "sand"),
    ("undated", "2026-01-07T00:00:00", "2026-01-07", "old"),
    ("undated", "2026-01-07T00:00:00", "2026-01-08", "new"),
    ("listed_later", "2026-01-07T00:00:00", "2026-01-07", ""),
    ("listed_later", "2026-01-08T00:00:00", "2026-01-08", "tea"),
]


def test_an_event_has_the_tags_that_its_item_had_then(frame_of) -> None:
    rows = [
        {"file_order": file, "applies_from": first, "line": number, "text": text}
        for number, (file, first, text) in enumerate(HISTORY)
    ]
    events = [event(item, at, arrival_day=day) for item, at, day, _ in MOMENTS]
    records = catalogue(frame_of(rows[::-1], LINES), ITEMS, "shop")
    tagged = with_catalogue_tags(frame_of(events, EVENTS), [records])
    keys = ("item_id", "event_at", "arrival_day")
    found = {
        tuple(str(row[key]) for key in keys): row.tags
        for row in tagged.selectExpr(
            "item_id", "date_format(event_at, \"yyyy-MM-dd'T'HH:mm:ss\") AS event_at", "arrival_day", "tags"
        ).collect()
    }
    assert found == {(item, at, day): tags.split() for item, at, day, tags in MOMENTS}


def test_an_item_has_the_tags_of_its_newest_event(frame_of) -> None:
    times = ["10:00:00", "11:00:00", "11:00:00", "12:00:00"]
    rows = [
        {"item_space": "shop", "item_id": item, "event_at": f"2026-01-05T{at}", "line": line, "tags": tag, "part": 1}
        for at, item, line, tag in zip(
            times, ["i", "i", "i", None], [1, 3, 2, 4], ["old", "new", "tie", "none"], strict=True
        )
    ]
    rows += [{**rows[3], "item_id": "i", "item_space": "other"}]
    columns = "event_at TIMESTAMP, sequence BIGINT, arrival_day DATE, file STRING, line BIGINT, part INT"
    frame = frame_of(rows, f"item_space STRING, item_id STRING, tags ARRAY<STRING>, {columns}")
    row, of_other_space = items_of_events(frame).orderBy(F.desc("space")).collect()
    assert (of_other_space.space, of_other_space.tags) == ("other", ["none"])
    assert (row.item_id, row.tags, row.last_seen_at > row.first_seen_at) == ("i", ["new"], True)
