"""Items of catalogues and of events."""

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
    found = {row.item_id: row for row in catalogue(frame_of(rows, LINES), ITEMS).collect()}
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
    events = [
        {"item_id": "i", "event_id": "a", "event_at": "2026-01-05T10:00:00", "tags": "old"},
        {"item_id": "i", "event_id": "c", "event_at": "2026-01-05T11:00:00", "tags": "new"},
        {"item_id": "i", "event_id": "b", "event_at": "2026-01-05T11:00:00", "tags": "tie"},
        {"item_id": None, "event_id": "d", "event_at": "2026-01-05T12:00:00", "tags": "none"},
    ]
    frame = frame_of(events, "item_id STRING, event_id STRING, event_at TIMESTAMP, tags ARRAY<STRING>")
    (row,) = items_of_events(frame).collect()
    assert (row.item_id, row.tags, row.last_seen_at > row.first_seen_at) == ("i", ["new"], True)
