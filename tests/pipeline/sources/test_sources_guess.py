"""`source new` guesses a TOML: what it finds in small logs, what it leaves open, and what it writes."""

import json
import tomllib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.landing.staging import input_files
from pipeline.runner.source import guess_files
from pipeline.sources.guess import Guess
from pipeline.sources.schema import load_source
from pipeline.sources.toml_text import source_name, toml_text

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


def jsonl(*rows: Mapping[str, Any]) -> list[str]:
    return [json.dumps(row) for row in rows]


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


@pytest.fixture
def guessed(tmp_path: Path) -> Callable[..., Guess]:
    """Return the function that guesses the TOML of files with the given lines."""

    def run(*files: Sequence[str], name: str = "log.txt") -> Guess:
        paths = []
        for number, lines in enumerate(files):
            (tmp_path / str(number)).mkdir(exist_ok=True)
            paths.append(tmp_path / str(number) / name)
            paths[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
        return guess_files(paths)

    return run


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Guess], Any]:
    """Return the function that writes the TOML of a guess and reads it as a source."""

    def write(made: Guess) -> Any:
        file = tmp_path / "shop.toml"
        file.write_text(toml_text(made, "shop", "log.txt"), encoding="utf-8")
        return load_source(file)

    return write


def expressions(made: Guess) -> dict[str, str]:
    return {key: choice.expression for key, choice in made.columns.items()}


def open_keys(made: Guess) -> dict[str, list[str]]:
    return {doubt.key: [one.expression for one in doubt.alternatives] for doubt in made.doubts}


def csv_lines(header: str, row: str, count: int = 6) -> list[str]:
    """Return a header line and rows; `{n}` is the number of the row and `{at}` its time."""
    return [header, *[row.format(n=number, at=f"{at(number):%Y-%m-%dT%H:%M:%SZ}") for number in range(count)]]


def test_json_lines_are_read_by_the_names_of_their_fields(guessed: Any, written: Any) -> None:
    rows = [
        {"id": f"e{n}", "userId": None if n < 2 else f"u{n % 2}", "deviceId": "d1", "time": at(n).isoformat(),
         "received": at(n + 1).isoformat(), "type": "page_view" if n else "add_to_cart", "item": n % 3, "tags": ["a"]}
        for n in range(6)
    ]  # fmt: skip
    made = guessed(jsonl(*rows))
    assert expressions(made) == {
        "user_id": "userId", "device_id": "deviceId", "received_at": "to_timestamp(received)",
        "event_at": "to_timestamp(time)", "item_id": "item", "tags": "tags", "event_id": "id", "event_type": "type",
    }  # fmt: skip
    assert made.doubts == [] and made.joins_devices and not made.needs_clusters
    source = written(made)
    assert source.devices.join and source.reader.format == "jsonl"
    assert {name: (kind.canonical, kind.weight) for name, kind in source.event_types.items()} == {
        "page_view": ("view", 1.0), "add_to_cart": ("cart", 2.0),
    }  # fmt: skip


def test_fields_inside_objects_are_found_and_clocks_of_devices_are_kept(guessed: Any, written: Any) -> None:
    rows = [
        {"messageId": f"m{n}", "anonymousId": f"a{n % 2}", "event": "Product Viewed", "sentAt": at(n).isoformat(),
         "originalTimestamp": at(n).isoformat(), "receivedAt": at(n).isoformat(),
         "context": {"page": {"url": f"https://x.example/{n}"}},
         "properties": {"product_id": f"p{n % 2}", "category": "a"}}
        for n in range(5)
    ]  # fmt: skip
    found = expressions(made := guessed(jsonl(*rows)))
    assert found["item_id"] == "properties.product_id" and found["tags"] == "array(properties.category)"
    assert found["url"] == "context.page.url" and found["device_id"] == "anonymousId"
    assert {"created_at", "sent_at", "received_at"} <= found.keys() and "event_at" not in found
    assert "context STRUCT<page: STRUCT<url: STRING>>" in written(made).reader.fields


def test_a_list_of_items_is_unfolded(guessed: Any, written: Any) -> None:
    rows = [
        {"user_id": f"u{n}", "ts": at(n).isoformat(), "event_name": "purchase",
         "items": [{"item_id": "a", "item_category": "x"}, {"item_id": "b", "item_category": "y"}]}
        for n in range(3)
    ]  # fmt: skip
    source = written(guessed(jsonl(*rows)))
    assert source.unfold.each == "items"
    assert (source.columns.item_id, source.columns.tags) == ("each.item_id", "array(each.item_category)")


@pytest.mark.parametrize(
    ("factor", "unit"),
    [
        (1, "epoch seconds"),
        (10**3, "epoch milliseconds"),
        (10**6, "epoch microseconds"),
        (10**9, "epoch nanoseconds"),
    ],
)
def test_the_unit_of_an_epoch_is_told_by_its_size(guessed: Any, factor: int, unit: str) -> None:
    rows = [{"user": f"u{n}", "ts": int(at(n).timestamp()) * factor, "item": "a", "type": "view"} for n in range(4)]
    choice = guessed(jsonl(*rows)).columns["event_at"]
    assert choice.expression == "epoch(ts)" and f"4 {unit} of 4 values" in choice.evidence


@pytest.mark.parametrize(
    ("times", "expression"),
    [
        (["2026-03-01 10:00:00", "2026-03-01 10:01:00"], "to_timestamp(time)"),
        (["01/Mar/2026:10:00:00 +0100"], "to_timestamp(time, 'dd/MMM/yyyy:HH:mm:ss Z')"),
        (["13.04.2026 10:00"], "to_timestamp(time, 'd.M.y H:mm[:ss]')"),
        (["13/04/2026 10:00:00", "03/04/2026 10:00:00"], "to_timestamp(time, 'd/M/y[,] H:mm[:ss]')"),
        (["04/13/2026 10:00:00", "03/04/2026 10:00:00"], "to_timestamp(time, 'M/d/y[,] H:mm[:ss]')"),
        (["11/13/2019 8:36:57 PM", "11/4/2019 12:05:00 AM"], "to_timestamp(time, 'M/d/y[,] h:mm[:ss][ ]a')"),
        (["Mon, 02 Mar 2026 10:00:00 GMT"], "to_timestamp(split_part(time, ', ', 2), 'd MMM y H:mm[:ss] z')"),
        (["Mon, 2 Mar 2026 10:00:00 +0100"], "to_timestamp(split_part(time, ', ', 2), 'd MMM y H:mm[:ss] xx')"),
        (["Mar 02, 2026 10:00:00"], "to_timestamp(time, 'MMM d[,] y[,] H:mm[:ss]')"),
        (["Mar 2, 2026, 10:00 PM"], "to_timestamp(time, 'MMM d[,] y[,] h:mm[:ss][ ]a')"),
    ],
)
def test_the_form_of_times_is_told_by_their_values(guessed: Any, times: list[str], expression: str) -> None:
    rows = [{"user": f"u{n}", "time": time, "item": "a", "type": "view"} for n, time in enumerate(times)]
    assert expressions(guessed(jsonl(*rows)))["event_at"] == expression


@pytest.mark.parametrize(
    ("day", "expression"),
    [
        ("2026-03-01", "to_timestamp(concat(date, ' ', time))"),
        ("20260301", "to_timestamp(concat(date, ' ', time), 'yyyyMMdd H:mm[:ss][.SSS]')"),
    ],
)
def test_a_day_and_a_time_of_the_day_are_joined(guessed: Any, day: str, expression: str) -> None:
    made = guessed(csv_lines("user;date;time;item;type", f"u{{n}};{day};10:0{{n}};a;view"))
    assert expressions(made)["event_at"] == expression


def test_several_forms_of_times_are_all_read(guessed: Any) -> None:
    times = [at(0).isoformat(), int(at(1).timestamp()), str(int(at(2).timestamp() * 1000))]
    rows = [{"user": f"u{n}", "time": time, "item": "a", "type": "view"} for n, time in enumerate(times)]
    choice = guessed(jsonl(*rows)).columns["event_at"]
    assert choice.expression == "coalesce(epoch(time), to_timestamp(time))"
    assert "1 ISO 8601 with zone, 1 epoch seconds, 1 epoch milliseconds of 3 values" in choice.evidence


@pytest.mark.parametrize(
    ("header", "row", "key", "found", "alternatives"),
    [
        (
            "user;time;item;type", "u{n};03/04/2026 10:00:00;a;view", "event_at", "is 03/04/2026 10:00:00 day/month or",
            ["to_timestamp(time, 'd/M/y[,] H:mm[:ss]')", "to_timestamp(time, 'M/d/y[,] H:mm[:ss]')"],
        ),
        ("user;date;item;type", "u{n};2026-03-01;a;view", "event_at", "date names days without a time",
         ["to_timestamp(date)"]),
        ("user;item;t_dat;type", "u{n};a;2026-03-01;view", "event_at", "t_dat names days without a time",
         ["to_timestamp(t_dat)"]),
        ("user;item;date;type", "u{n};a;20260301;view", "event_at", "date names days without a time",
         ["to_timestamp(date, 'yyyyMMdd')"]),
        ("user;item;type", "u{n};a;view", "event_at", "no column holds times", []),
        ("user;time;shape;type", "u{n};{at};round;view", "item_id", "no column names an item or a topic", []),
        (
            "user;first;second;type", "u{n};{at};{at};view", "event_at", "several columns hold times",
            ["to_timestamp(first)", "to_timestamp(second)"],
        ),
        ("visitorid;customer;time;type", "v{n};c{n};{at};view", "user_id", "several columns could be the user",
         ["visitorid", "customer"]),
        ("colour;item;time;type", "c1;i{n};{at};view", "user_id", "no column names a user or a device", []),
        ("user;item;time;behavior", "u{n};a;{at};1{n}", "event_type", "has the numbers 10, 11, 12, 13, 14, 15",
         ["behavior"]),
    ],
)  # fmt: skip
def test_what_a_log_does_not_say_is_left_open(
    guessed: Any, header: str, row: str, key: str, found: str, alternatives: list[str]
) -> None:
    """Days and months that were guessed by row are reported: wireservice/csvkit issue 280, duckdb/duckdb issue 816."""
    made = guessed(csv_lines(header, row))
    [doubt] = [doubt for doubt in made.doubts if doubt.key == key]
    assert found in doubt.found
    assert [one.expression for one in doubt.alternatives] == alternatives
    assert key not in made.columns
    text = toml_text(made, "shop", "log.txt")
    assert f"# NOT SURE of {key}: " in text
    assert all(f"#{key} = {json.dumps(one)}" in text for one in alternatives)
    tomllib.loads(text)


def test_few_lines_with_an_id_are_left_open(guessed: Any) -> None:
    rows = [
        {"user_id": "u1" if n < 2 else None, "time": at(n).isoformat(), "item": "a", "type": "view"} for n in range(9)
    ]
    assert "device_id" in open_keys(guessed(jsonl(*rows)))


def test_a_log_without_a_header_is_read_by_its_values(guessed: Any, written: Any) -> None:
    lines = [
        f"{100 + user},{5000 + item},{70 + item % 4},{'pv' if user % 3 else 'buy'},{int(at(user + item).timestamp())}"
        for user in range(12)
        for item in range(user % 3, 40, 3)
    ]
    lines += [f"{100 + user},{5000 + user},{70 + user % 4},cart,{int(at(user).timestamp())}" for user in range(12)]
    made = guessed(lines)
    assert made.doubts == []
    assert expressions(made) == {
        "user_id": "user", "event_at": "epoch(time)", "item_id": "item",
        "tags": "array(category)", "event_type": "type",
    }  # fmt: skip
    assert "have one value of column 3" in made.columns["item_id"].evidence
    assert written(made).reader.columns == ["user", "item", "category", "type", "time"]


def test_values_that_name_themselves_name_their_columns(guessed: Any, written: Any) -> None:
    lines = [f"sku-{n % 3},u-{n},garden,view,{int(at(n).timestamp())}" for n in range(6)]
    source = written(guessed(lines))
    assert source.reader.columns == ["item", "user", "category", "type", "time"]


def test_numbers_without_names_are_never_chosen_silently(guessed: Any) -> None:
    """Files without a header that readers misread: revantkumar/Collaborative-Filtering issues 1 and 3."""
    lines = [f"{17 + n % 2},{4711 + n % 2},page_view,{int(at(n).timestamp())}" for n in range(4)]
    assert open_keys(guessed(lines)) == {"user_id": ["column_1", "column_2"], "item_id": ["column_1", "column_2"]}


def test_requests_of_a_web_server_get_rules_for_what_is_no_page(guessed: Any, written: Any) -> None:
    header = "host\ttime\tmethod\turl\tstatus"
    rows = [f"h{n % 3}.example\t{at(n).isoformat()}\t{'HEAD' if n == 3 else 'GET'}\t/a/{n}.html\t200" for n in range(6)]
    source = written(made := guessed([header, *rows]))
    assert source.reader.format == "tsv" and source.reader.header
    assert list(source.reject_when) == ["error", "redirect", "other_method", "static_asset"]
    assert list(source.event_types) == ["GET"] and source.columns.device_id == "host"
    assert "an address is not a person" in made.columns["device_id"].evidence


def test_a_combined_log_gets_the_built_in_source(guessed: Any, written: Any) -> None:
    line = '192.0.2.{n} - - [01/Mar/2026:10:0{n}:00 +0000] "GET /a/{n} HTTP/1.1" 200 5 "-" "Mozilla/5.0"'
    made = guessed([line.format(n=number) for number in range(5)])
    assert made.layout.built_in == "combined" and made.doubts == []
    assert written(made).name == "shop" and "5 of 5 lines match" in made.layout.evidence


@pytest.mark.parametrize(
    ("tags", "expression"),
    [
        (["a|b", "c"], "split(tags, '[|]')"),
        (["a, b", "c"], "split(tags, '[,]')"),
        (["garden", "photo"], "array(tags)"),
        ([["a", "b"], "c"], "CASE WHEN tags LIKE '[%' THEN from_json(tags, 'ARRAY<STRING>') ELSE split(tags, ',') END"),
    ],
)
def test_how_tags_are_written_is_told_by_their_values(guessed: Any, tags: list[Any], expression: str) -> None:
    rows = [{"user": f"u{n}", "time": at(n).isoformat(), "type": "view", "tags": one} for n, one in enumerate(tags * 3)]
    assert expressions(guessed(jsonl(*rows)))["tags"] == expression


def test_topics_are_those_of_the_item_and_not_of_the_visit(guessed: Any, written: Any) -> None:
    """GA4's export: the category of the device is the same word, and one kind of device is common."""
    rows = [
        {
            "user_pseudo_id": f"{n % 7}.1", "event_timestamp": str(int(at(n).timestamp() * 10**6)),
            "event_name": "view_item", "device": {"category": "mobile"},
            "items": [{"item_id": f"i{n % 3}", "item_category": f"topic {n % 3}"}],
        }
        for n in range(30)
    ]  # fmt: skip
    made = guessed(jsonl(*rows))
    assert expressions(made)["tags"] == "array(each.item_category)" and written(made).unfold.each == "items"


def test_one_value_in_all_lines_is_no_topic(guessed: Any) -> None:
    rows = [{"user": f"u{n % 7}", "time": at(n).isoformat(), "item": f"i{n % 5}", "topic": "clicks"} for n in range(30)]
    made = guessed(jsonl(*rows))
    assert "tags" not in made.columns and made.needs_clusters
    assert "topic has one value in all lines, clicks, so it is no topic" in made.notes


def test_a_line_of_a_whole_session_gives_an_event_for_each_element(guessed: Any, written: Any) -> None:
    """The public log of Otto. The time of the line, where it has one, is that of its upload."""
    rows = [
        {
            "user": f"u{n % 4}", "timestamp": at(900 + n).isoformat(),
            "events": [{"aid": n % 5, "ts": int(at(n).timestamp() * 1000), "type": "carts"}, {"aid": 1, "ts": 1}],
        }
        for n in range(9)
    ]  # fmt: skip
    made = guessed(jsonl(*rows))
    found = expressions(made)
    assert [found[key] for key in ("event_at", "event_type", "item_id")] == ["epoch(each.ts)", "each.type", "each.aid"]
    assert made.event_types == [("carts", "cart", 2.0, 9, True)]
    assert written(made).unfold.each == "events"


def test_a_user_whose_id_is_zero_is_named(guessed: Any) -> None:
    rows = [{"visitorid": n % 5, "time": at(n).isoformat(), "item": f"i{n}", "type": "view"} for n in range(25)]
    [note] = [note for note in guessed(jsonl(*rows)).notes if "placeholder" in note]
    assert note.startswith("visitorid is 0 or another placeholder in 5 lines") and "placeholders = false" in note


def test_fields_of_objects_written_as_text_are_columns(guessed: Any, written: Any) -> None:
    """As databases export them: a column of properties. The log of Fluentd has time, tag and an object."""
    objects = [
        json.dumps({"user_id": f"u{n % 4}", "item": {"id": f"p{n % 5}", "tags": ["a"]}, "type": "view", "no-name!": 1})
        for n in range(12)
    ]
    times = [f"{at(n):%Y-%m-%dT%H:%M:%SZ}" for n in range(12)]
    quoted = ['"' + one.replace('"', '""') + '"' for one in objects]
    of_csv = guessed(["id,at,properties", *[f"{n},{times[n]},{quoted[n]}" for n in range(12)]])
    of_fluentd = guessed([f"{times[n]}\tweb.events\t{objects[n]}" for n in range(12)])
    of_json = guessed(jsonl(*[{"at": times[n], "properties": objects[n]} for n in range(12)]))
    for made, name in ((of_csv, "properties"), (of_fluentd, "column_3"), (of_json, "properties")):
        found = expressions(made)
        fields = {"user_id": "user_id", "item_id": "item.id", "event_type": "type"}
        assert {key: found[key] for key in fields} == {
            key: f"get_json_object({name}, '$.{field}')" for key, field in fields.items()
        }
        assert found["event_at"].startswith("to_timestamp(") and not made.doubts
        assert not any("JSON as text" in note for note in made.notes)
        assert written(made).columns.user_id == found["user_id"]
    assert written(of_csv).reader.columns == ["id", "at", "properties"]
    reader = written(of_fluentd).reader
    assert (reader.format, reader.columns) == ("tsv", ["time", "category", "column_3"])


def test_a_topic_in_an_object_comes_before_a_column_of_one_value(guessed: Any) -> None:
    """The tag of Fluentd is the same in all lines."""
    objects = [json.dumps({"user_id": f"u{n % 4}", "product": f"p{n % 5}", "category": f"c{n % 3}"}) for n in range(25)]
    times = [f"{at(n):%Y-%m-%dT%H:%M:%SZ}" for n in range(25)]
    of_fluentd = guessed([f"{times[n]}\tweb.events\t{objects[n]}" for n in range(25)])
    of_json = guessed(jsonl(*[{"at": times[n], "category": "web.events", "properties": objects[n]} for n in range(25)]))
    for made, name in ((of_fluentd, "column_3"), (of_json, "properties")):
        assert expressions(made)["tags"] == f"array(get_json_object({name}, '$.category'))"
        assert made.columns["tags"].evidence.startswith(f"{name}.category: 25 of 25 lines have it")


def test_a_column_comes_before_a_field_of_an_object_written_as_text(guessed: Any) -> None:
    more = json.dumps({"user_id": "u9", "action": "x", "product_id": "p9", "at": "2026-03-01T10:00:00Z"})
    rows = [
        {"user_id": f"u{n % 3}", "seen": at(n).isoformat(), "item": f"i{n}", "type": "view", "properties": more}
        for n in range(6)
    ]
    made = guessed(jsonl(*rows))
    found = expressions(made)
    assert not made.doubts and [found[key] for key in ("user_id", "event_at", "item_id", "event_type")] == [
        "user_id", "to_timestamp(seen)", "item", "type",
    ]  # fmt: skip


def test_a_field_of_an_object_that_describes_the_device_is_no_event_type(guessed: Any) -> None:
    device = json.dumps({"type": "mobile", "id": "d1"}).replace('"', '""')
    rows = [f'u{n % 3},{at(n):%Y-%m-%dT%H:%M:%SZ},i{n},"{device}"' for n in range(6)]
    found = expressions(guessed(["user,time,item,device", *rows]))
    assert found["event_type"] == "'view'" and found["item_id"] == "item"


def test_objects_written_as_text_are_named_if_no_field_is_used(guessed: Any) -> None:
    rows = [
        {"timestamp": at(n).isoformat(), "who": f"u{n}", "value": json.dumps({"k1": n, "k2": {"b": "a"}})}
        for n in range(5)
    ]
    [note] = [note for note in guessed(jsonl(*rows)).notes if "JSON" in note]
    assert note == (
        "value holds JSON as text, with the fields k1, k2.b: get_json_object(value, '$.k1') reads the first"
    )


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["04/02", "04/03", "04/05"], "to_timestamp(time, 'M/d/y[,] H:mm[:ss]')"),
        (["02/04", "03/04", "05/04"], "to_timestamp(time, 'd/M/y[,] H:mm[:ss]')"),
        (["04/02", "04/03"], None),
        (["04/02", "05/03", "06/03"], None),
        (["01/02", "01/03", "01/05"], None),  # or the first of February, March and May
    ],
)
def test_several_days_of_one_month_tell_the_day_from_the_month(
    guessed: Any, days: Sequence[str], expected: str | None
) -> None:
    rows = [f"{day}/2026 10:{n:02}:00,u{n % 3},i{n},view" for n, day in enumerate(days * 4)]
    made = guessed(["time,user,item,type", *rows])
    assert expressions(made).get("event_at") == expected
    assert ("event_at" in open_keys(made)) == (expected is None)


def test_mongoexport_wraps_values_in_objects(guessed: Any) -> None:
    rows = [
        {"userId": {"$numberLong": str(n)}, "ts": {"$date": at(n).isoformat()}, "item": f"i{n}", "action": "view"}
        for n in range(1, 6)
    ]
    found = expressions(guessed(jsonl(*rows)))
    assert (found["user_id"], found["event_at"]) == ("userId.`$numberLong`", "to_timestamp(ts.`$date`)")


def test_known_words_name_the_event_type_before_its_column_does(guessed: Any) -> None:
    """A dump of Elasticsearch: `_type` is the kind of its documents."""
    rows = [
        {"_type": "_doc", "_source": {"@timestamp": at(n).isoformat(), "user": {"id": f"u{n}"},
                                      "event": {"action": "view"}, "product": {"id": f"i{n}"}}}
        for n in range(5)
    ]  # fmt: skip
    made = guessed(jsonl(*rows))
    assert expressions(made)["event_type"] == "_source.event.action"
    assert made.event_types == [("view", "view", 1.0, 5, True)]


def test_a_separator_that_the_first_line_names(guessed: Any, written: Any) -> None:
    made = guessed(["sep=;", *csv_lines("User ID;Item;Date Time;Note", "u{n};i{n};{at};1,5 and 2,5")])
    assert {"separator": ";", "header": True, "comment": "sep="}.items() <= made.layout.reader.items()
    assert expressions(made)["user_id"] == "`User ID`" and written(made).reader.comment == "sep="


@pytest.mark.parametrize(
    ("encoding", "topic"),
    [
        ("cp1252", "Bücher"),
        ("gb18030", "图书音乐"),
        ("cp1251", "книги"),
        ("shift_jis", "本と音楽"),
        ("utf-8", "Bücher"),
    ],
)
def test_the_encoding_is_that_of_most_lines_with_other_letters(
    tmp_path: Path, written: Any, encoding: str, topic: str
) -> None:
    lines = csv_lines(f"user;item;time;category {topic[:2]};topic", f"u{{n}};i{{n}};{{at}};{topic};{topic}", 80)
    content = "\n".join([*lines, ""]).encode(encoding) + b"u1;i1;;\xc3\x28;\xff\n"
    (tmp_path / "log.csv").write_bytes(content)
    made = guess_files(input_files([tmp_path / "log.csv"]))
    assert made.layout.reader.get("encoding", "utf-8") == encoding == written(made).reader.encoding
    assert any(f"look like {encoding}" in note for note in made.notes) == (encoding != "utf-8")
    [column] = [one for one in made.layout.columns if one.name == "topic"]
    assert topic in column.top


def test_several_objects_in_a_line_are_refused(guessed: Any) -> None:
    """As Kinesis Firehose writes them. A brace within a text is none."""
    rows = [{"user": f"u{n}", "ts": at(n).isoformat(), "item": "a } { b"} for n in range(5)]
    with pytest.raises(InputError, match=r"log.txt: its lines hold several JSON objects each; expected one object a l"):
        guessed(["".join(jsonl(*rows))])
    assert expressions(guessed(jsonl(*rows)))["user_id"] == "user"


def test_without_topics_clusters_of_items_become_tags(guessed: Any, written: Any) -> None:
    made = guessed(csv_lines("user,item,time,type", "u{n},i{n},{at},view"))
    assert made.needs_clusters and written(made).clusters.count == 50


def test_without_event_types_every_line_is_a_view_and_a_note_says_so(guessed: Any, written: Any) -> None:
    made = guessed(csv_lines("user_id,item_id,timestamp", "u{n},i{n},{at}"))
    assert any("every line counts as a view" in note for note in made.notes)
    assert written(made).columns.event_type == "'view'"


def test_several_files_with_one_header_are_one_log(guessed: Any) -> None:
    lines = csv_lines("user,item,time,type", "u{n},i{n},{at},view", 3)
    assert guessed(lines, lines).columns["user_id"].evidence == "user: 6 of 6 lines have it, 3 different"


def test_files_of_different_kinds_are_refused(guessed: Any) -> None:
    log = csv_lines("user,item,time,type", "u{n},i{n},{at},view", 3)
    with pytest.raises(InputError, match="expected files of one kind; look at one kind at a time"):
        guessed(log, ["item,title", "i1,Spade"])


@pytest.mark.parametrize("lines", [["a plain text", "of words", "and more"], ["# only", "# comments"], ["", " "]])
def test_a_file_without_a_known_format_is_refused(guessed: Any, lines: list[str]) -> None:
    with pytest.raises(InputError, match=r"no format that is known|only comment lines|no lines"):
        guessed(lines)


def test_a_backslash_before_quotes_is_the_escape_sign(guessed: Any, written: Any) -> None:
    rows = [f'u{n},"say \\"hi\\", {n}",2026-03-01 10:0{n}:00,view' for n in range(6)]
    assert written(guessed(["user,item,time,type", *rows])).reader.escape == "\\"


def test_lines_that_begin_with_a_hash_are_comments(guessed: Any, written: Any) -> None:
    lines = csv_lines("user,item,time,type", "u{n},i{n},{at},view")
    made = guessed(["# made by hand", *lines[:3], "# in between", *lines[3:]])
    source = written(made)
    assert source.reader.header and source.reader.comment == "#"
    assert made.columns["user_id"].evidence == "user: 6 of 6 lines have it, 6 different"


@pytest.mark.parametrize("separator", ["\t", " "])
def test_the_fields_line_of_a_w3c_log_names_its_columns(guessed: Any, written: Any, separator: str) -> None:
    names = ["date", "time", "c-ip", "cs-method", "cs-uri-stem", "sc-status", "cs(User-Agent)"]
    rows = [["2026-03-01", f"10:00:0{n}", f"192.0.2.{n}", "GET", f"/a/{n}", "200", "Mozilla/5.0"] for n in range(5)]
    source = written(guessed(["#Version: 1.0", "#Fields: " + " ".join(names), *[separator.join(row) for row in rows]]))
    assert source.reader.format == "w3c"
    assert source.columns.device_id == "concat_ws(' ', c_ip, cs_user_agent)"
    assert source.columns.event_at == "to_timestamp(concat(date, ' ', time))"


def test_one_json_list_is_read_element_by_element(tmp_path: Path, written: Any) -> None:
    rows = [{"user": f"u{n}", "time": at(n).isoformat(), "item": "a", "type": "view"} for n in range(4)]
    (tmp_path / "log.json").write_text(json.dumps(rows, indent=2))
    source = written(made := guess_files([tmp_path / "log.json"]))
    assert source.reader.format == "jsonl" and made.layout.rows == 4 and made.doubts == []


def test_the_files_of_an_archive_are_one_log(tmp_path: Path, written: Any) -> None:
    lines = "\n".join(csv_lines("user,item,time,type", "u{n},i{n},{at},view"))
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        archive.writestr("1.csv", lines)
        archive.writestr("2.csv", lines)
    made = guess_files(input_files([tmp_path / "log.zip"]))
    assert made.layout.rows == 12 and written(made).reader.header


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"%PDF-1.7 and more", "it is a PDF document; expected a log of text, Parquet or Avro"),
        ("user,item\n".encode("utf-16"), "it is text in UTF-16; expected .*: convert it to utf-8 first"),
    ],
)
def test_a_binary_file_of_another_kind_is_refused_with_its_kind(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "log.txt").write_bytes(content)
    with pytest.raises(InputError, match=says):
        guess_files([tmp_path / "log.txt"])


def test_parquet_is_read_by_its_schema(tmp_path: Path, written: Any) -> None:
    rows = [
        {"user_id": 9001 + n, "item_id": n, "topics": ["a"], "kind": "view", "happened_at": at(n)} for n in range(4)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    made = guess_files([tmp_path / "log.parquet"])
    source = written(made)
    assert source.reader.format == "parquet" and source.columns.tags == "topics"
    assert "topics ARRAY<STRING>" in source.reader.fields and made.doubts == []


def test_names_and_values_with_quotes_make_a_valid_toml(guessed: Any, written: Any) -> None:
    rows = [
        {"user": 'a"b', "the time": at(n).isoformat(), "type": 'say "hi"\n', "it's": 1, "item": "x"} for n in range(3)
    ]
    source = written(guessed(jsonl(*rows)))
    assert list(source.event_types) == ['say "hi"\n']
    assert source.columns.event_at == "to_timestamp(`the time`)"
    assert "`it's` STRING" in source.reader.fields


@pytest.mark.parametrize(
    ("file", "name"),
    [("UserBehavior.csv", "userbehavior"), ("2026-03 Clicks.json.gz", "clicks"), ("42.csv", "log"), ("a_b.tsv", "a-b")],
)
def test_a_source_is_named_after_its_file(file: str, name: str) -> None:
    assert source_name(Path(file)) == name


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "taobao/UserBehavior.csv",
            {"user_id": "user", "item_id": "item", "tags": "array(category)", "event_type": "type"},
        ),
        ("nasa-http/nasa_19950701.tsv", {"device_id": "host", "event_type": "method", "url": "url"}),
    ],
)
def test_public_logs_are_guessed(real_data: Path, written: Any, file: str, expected: dict[str, str]) -> None:
    made = guess_files([real_data / file])
    assert made.doubts == []
    assert expected.items() <= expressions(made).items()
    source = written(made)
    if file.startswith("taobao"):
        assert source.reader.columns == ["user", "item", "category", "type", "time"]
        assert {name: kind.canonical for name, kind in source.event_types.items()} == {
            "pv": "view", "cart": "cart", "fav": "like", "buy": "purchase",
        }  # fmt: skip


@pytest.mark.real_data
def test_a_public_log_without_names_is_left_open(real_data: Path) -> None:
    assert {"user_id", "item_id"} <= open_keys(guess_files([real_data / "wikispeedia" / "paths_unfinished.tsv"])).keys()
