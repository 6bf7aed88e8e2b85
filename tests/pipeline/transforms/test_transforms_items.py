"""Items of catalogues and of events."""

from pyspark.sql import functions as F

from pipeline.sources.schema import Items
from pipeline.transforms.clean import with_catalogue_tags
from pipeline.transforms.items import catalogue, items_of_events

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
LINES = "file_order STRING, line BIGINT, text STRING, header STRING"
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


def test_the_newest_record_of_an_item_wins(frame_of) -> None:
    rows = [{"file_order": order, "line": line, "text": text} for order, line, text in RECORDS]
    found = {row.item_id: row for row in catalogue(frame_of(rows, LINES), ITEMS, "shop").collect()}
    assert {item: row.title for item, row in found.items()} == {
        "by_time": "new", "by_file": "second file", "by_line": "second", "dated": "with a time", "bare": None,
    }  # fmt: skip
    assert (found["by_time"].tags, found["bare"].tags) == (["tea", "cup"], [])
    assert (found["bare"].content, found["by_time"].content) == ([1.0, 0.5], [])


def test_an_event_without_tags_of_its_own_has_those_of_its_item(frame_of) -> None:
    events = frame_of(
        [{"item_id": "i", "tags": "own"}, {"item_id": "i"}, {"item_id": "other"}, {"item_id": None}],
        "item_id STRING, tags ARRAY<STRING>",
    )
    listed = frame_of([{"item_id": "i", "tags": "listed"}], "item_id STRING, tags ARRAY<STRING>")
    found = sorted((row.item_id or "", row.tags) for row in with_catalogue_tags(events, listed).collect())
    assert found == [("", []), ("i", ["listed"]), ("i", ["own"]), ("other", [])]


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
