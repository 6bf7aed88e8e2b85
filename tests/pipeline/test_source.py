"""A source's TOML: the built-in ones load, and each mistake is one line that names the file and the key."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.sources.rules import ClusterRules, CopyRules, Identity, SessionRules, Sizes, Unfold
from pipeline.sources.schema import (
    BUILT_IN,
    Columns,
    EventType,
    Items,
    Reader,
    Source,
    load_source,
    source_file,
)

TEMPLATE = BUILT_IN / "template.toml"
GOOD = """\
name = "shop"
time_zone = "Europe/Berlin"

[reader]
format = "jsonl"
fields = "user STRING, time STRING, type STRING"

[columns]
user_id = "user"
event_at = "to_timestamp(time)"
event_type = "type"

[event_types.look]
as = "view"
weight = 1.5

[sessions]
inactivity_gap_minutes = 20

[items]
files = "catalogue*"
item_id = "item"

[items.reader]
format = "jsonl"
fields = "item STRING"
"""
Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(toml: str) -> Path:
        file = tmp_path / "shop.toml"
        file.write_text(toml, encoding="utf-8")
        return file

    return write


def examples_in_template() -> list[str]:
    """Return the blocks of lines without a blank after `#`, each as TOML."""
    blocks: list[list[str]] = [[]]
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        if re.match(r"#[a-z\[]", line):
            blocks[-1].append(line.removeprefix("#"))
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


OTHER_LOGS = [block for block in examples_in_template() if block.startswith("[reader]")]


@pytest.mark.parametrize("file", sorted(BUILT_IN.glob("*.toml")), ids=lambda file: file.stem)
def test_a_built_in_source_loads_and_has_the_name_of_its_file(file: Path) -> None:
    assert load_source(source_file(file.stem)).name == file.stem


def test_a_source_keeps_what_its_toml_says_and_fills_the_rest_by_defaults(written: Written) -> None:
    source = load_source(written(GOOD))
    assert (source.time_zone, source.files) == ("Europe/Berlin", "*")
    assert source.event_types["look"] == EventType.model_validate({"as": "view", "weight": 1.5})
    assert source.sessions == SessionRules(inactivity_gap_minutes=20, cap_hours=24, day_split=False)
    assert source.items is not None and source.items.reader.fields == "item STRING"


def test_items_of_an_event_type_are_excluded_where_the_toml_says_so(written: Written) -> None:
    with_items = GOOD.replace("[columns]", '[columns]\nitem_id = "type"')
    assert load_source(written(with_items)).excluding_types == frozenset()
    excluding = with_items.replace("weight = 1.5", "weight = 1.5\nexclude_item = true")
    assert load_source(written(excluding)).excluding_types == {"view"}


@pytest.mark.parametrize("rule", ["inactivity_gap_minutes", "cap_hours"])
@pytest.mark.parametrize("off", ["false", "0"])
def test_a_session_rule_is_switched_off_by_false_or_0(written: Written, rule: str, off: str) -> None:
    toml = GOOD.replace("inactivity_gap_minutes = 20", f"{rule} = {off}")
    assert getattr(load_source(written(toml)).sessions, rule) == 0


@pytest.mark.parametrize(
    ("good", "bad", "parts"),
    [
        ("[reader]", "[reader]\nformt = 'csv'", ["unknown key 'reader.formt'", "template.toml"]),
        ("time_zone =", "zone =", ["unknown key 'zone'", "template.toml"]),
        ("user_id =", "user =", ["unknown key 'columns.user'", "template.toml"]),
        ("event_type = ", "#", ["the key 'columns.event_type' is missing", "template.toml"]),
        ('name = "shop"', "", ["the key 'name' is missing"]),
        ('as = "view"', "", ["the key 'event_types.look.as' is missing"]),
        ('item_id = "item"', "", ["the key 'items.item_id' is missing"]),
        ('"shop"', '"My Shop"', ["key 'name' = 'My Shop'", "pattern"]),
        ("Europe/Berlin", "Berlin", ["key 'time_zone' = 'Berlin'", "not a time zone", "'Europe/Berlin'"]),
        ("1.5", "1.5\nexclude_item = 'often'", ["key 'event_types.look.exclude_item' = 'often'", "valid boolean"]),
        ("1.5", "1.5\nexclude_item = true", ["[event_types.look] exclude_item = true needs columns.item_id"]),
        (
            "[columns]",
            "[event_types.gaze]\nas = 'view'\nexclude_item = true\n[columns]\nitem_id = 'type'",
            ["[event_types.look] is a 'view' like another type", "another word in 'as'"],
        ),
        ("1.5", "-1", ["key 'event_types.look.weight' = -1", "greater than or equal to 0"]),
        ("1.5", '"much"', ["key 'event_types.look.weight' = 'much'", "valid number"]),
        ('"view"', '"Page View"', ["key 'event_types.look.as' = 'Page View'"]),
        ("= 20", "= -5", ["key 'sessions.inactivity_gap_minutes' = -5", "greater than or equal to 0"]),
        ('"jsonl"\nfields = "user', '"xml"\nfields = "user', ["key 'reader.format' = 'xml'", "'jsonl'", "'parquet'"]),
        ('user_id = "user"', "", ["key 'columns'", "needs 'user_id' or 'device_id'"]),
        ('user_id = "user"', 'user_id = ""', ["key 'columns.user_id' = ''", "at least 1 character"]),
        ('event_at = "to_timestamp(time)"', "", ["key 'columns'", "needs 'event_at'"]),
        ("[sessions]", "[reject_when]\nbad = ''\n[sessions]", ["key 'reject_when.bad' = ''", "at least 1 character"]),
        ("[sessions]", "[reject_when]\n'404' = 'x'\n[sessions]", ["key 'reject_when'", "'404' is not a reason code"]),
        (
            "[sessions]",
            "[reject_when]\nunparsable = 'x'\n[sessions]",
            ["key 'reject_when'", "'unparsable' is a reason of the pipeline itself", "choose another name"],
        ),
        ('fields = "item STRING"', "", ["key 'items.reader'", "format 'jsonl' needs the key 'fields'"]),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(written: Written, good: str, bad: str, parts: list[str]) -> None:
    assert good in GOOD
    file = written(GOOD.replace(good, bad, 1))
    with pytest.raises(SourceError) as caught:
        load_source(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ") and len(message.splitlines()) == 1
    assert [part for part in parts if part not in message] == []


CLUSTERED = GOOD.replace('event_type = "type"', 'event_type = "type"\nitem_id = "item"') + "\n[clusters]\n"


@pytest.mark.parametrize(
    ("toml", "count"),
    [
        (CLUSTERED + "count = 7", 7),
        (CLUSTERED + "count = 0", 0),
        (CLUSTERED + "count = false", 0),
        (CLUSTERED, 50),
        (CLUSTERED.replace("[items.reader]", 'tags = "array(item)"\n[items.reader]'), 0),
        (CLUSTERED.replace("item_id =", 'tags = "array(item)"\nitem_id ='), 0),
        (GOOD, 0),
    ],
    ids=["a number", "none", "off", "items alone", "tags of items", "tags", "no items"],
)
def test_a_source_with_items_and_no_tags_has_clusters(written: Written, toml: str, count: int) -> None:
    assert load_source(written(toml)).cluster_count == count


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (CLUSTERED + "count = 1", "key 'clusters.count' = 1: one cluster separates no interests; expected 2 or more"),
        (CLUSTERED + "count = -5", "key 'clusters.count' = -5: Input should be greater than or equal to 0"),
        (CLUSTERED + "count = 'many'", "key 'clusters.count' = 'many': Input should be a valid integer"),
        (CLUSTERED + "least_sessions = 0", "key 'clusters.least_sessions' = 0"),
        (CLUSTERED + "number = 5", "unknown key 'clusters.number'"),
        (GOOD + "\n[clusters]\ncount = 50", "[clusters] count needs columns.item_id"),
    ],
)
def test_invalid_clusters_are_an_error_with_file_and_key(written: Written, toml: str, expected: str) -> None:
    file = written(toml)
    with pytest.raises(SourceError) as caught:
        load_source(file)
    assert str(caught.value).startswith(f"{file}: ") and expected in str(caught.value)


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        ("format = 'jsonl'", "format 'jsonl' needs the key 'fields'"),
        ("format = 'parquet'", "format 'parquet' needs the key 'fields'"),
        ("format = 'regex'", "format 'regex' needs the key 'pattern'"),
        ("format = 'csv'", "format 'csv' needs the key 'columns'"),
        ("format = 'tsv'\nheader = true", "format 'tsv' needs the key 'columns'"),
        ("format = 'jsonl'\nfields = 'a STRING'\nheader = true", "format 'jsonl' has no use for the key 'header'"),
        ("format = 'csv'\ncolumns = ['a']\npattern = '(?<a>.)'", "format 'csv' has no use for the key 'pattern'"),
    ],
)
def test_a_reader_without_a_required_key_is_an_error(written: Written, reader: str, expected: str) -> None:
    file = written(GOOD.replace('format = "jsonl"\nfields = "user STRING, time STRING, type STRING"', reader))
    with pytest.raises(SourceError) as caught:
        load_source(file)
    assert str(caught.value).startswith(f"{file}: key 'reader' = ") and expected in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("pattern", "(?<user", "invalid regular expression"),
        ("pattern", "(?P<user>.*)", "expected groups with names in Java syntax"),
        ("pattern", "(?<user_id>.*)", "of letters and digits only"),
        ("pattern", "no group", "expected groups with names in Java syntax"),
        ("encoding", "utf-99", "no such encoding"),
    ],
)
def test_an_invalid_pattern_or_encoding_is_an_error(written: Written, key: str, value: str, expected: str) -> None:
    lines = {"format": "regex", "pattern": "(?<user>.*)", key: value}
    reader = "\n".join(f"{name} = '{text}'" for name, text in lines.items())
    file = written(GOOD.replace('format = "jsonl"\nfields = "user STRING, time STRING, type STRING"', reader))
    with pytest.raises(SourceError) as caught:
        load_source(file)
    assert str(caught.value).startswith(f"{file}: key 'reader.{key}' = {value!r}: ")
    assert expected in str(caught.value)


def test_a_source_without_event_types_is_refused(written: Written) -> None:
    toml = GOOD.replace('[event_types.look]\nas = "view"\nweight = 1.5', "[event_types]")
    with pytest.raises(SourceError, match=r"shop\.toml: key 'event_types' = \{\}"):
        load_source(written(toml))


def test_two_mistakes_are_two_lines_that_each_name_file_and_key(written: Written) -> None:
    file = written(GOOD.replace("Europe/Berlin", "Berlin").replace("1.5", "-1"))
    with pytest.raises(SourceError) as caught:
        load_source(file)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{file}: key 'time_zone'")
    assert second.startswith(f"  {file}: key 'event_types.look.weight'")


@pytest.mark.parametrize("broken", [b"name = ", b"[reader\n", b'name = "sh\xf6p"\n'])
def test_a_malformed_toml_is_an_error_with_its_file(tmp_path: Path, broken: bytes) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(broken)
    with pytest.raises(SourceError) as caught:
        load_source(file)
    assert str(caught.value).startswith(f"{file}: not a TOML file: ")


@pytest.mark.parametrize("name", ["taobo", "no/such/file.toml"])
def test_an_unknown_source_is_an_error_with_the_known_ones(name: str) -> None:
    with pytest.raises(SourceError) as caught:
        source_file(name)
    message = str(caught.value)
    assert f"no source {name!r}" in message and ".toml file" in message
    assert "combined, demo, nasa, snowplow-web, taobao, or" in message and "template" not in message


def test_a_path_is_a_source_of_its_own(written: Written) -> None:
    file = written(GOOD)
    assert source_file(str(file)) == file


@pytest.mark.parametrize(
    "part",
    [Source, Reader, Columns, Identity, CopyRules, Sizes, Unfold, EventType, SessionRules, ClusterRules, Items],
    ids=lambda part: part.__name__,
)
def test_the_template_shows_every_key(part: type[Source]) -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    keys = [field.alias or name for name, field in part.model_fields.items()]
    assert [key for key in keys if not re.search(rf"^#?\[?{key}\b|^# {key}\b|^# .*\b{key}:", text, re.MULTILINE)] == []


def test_rules_keep_the_order_of_the_toml(written: Written) -> None:
    source = load_source(written(GOOD + "[reject_when]\nzebra = 'a'\nant = 'b'\n"))
    assert list(source.reject_when.items()) == [("zebra", "a"), ("ant", "b")]


def test_the_template_has_an_example_of_every_format() -> None:
    formats = [tomllib.loads(block)["reader"]["format"] for block in OTHER_LOGS]
    assert sorted(formats) == ["csv", "csv", "parquet", "regex", "tsv"]
    assert load_source(TEMPLATE).reader.format == "jsonl"


@pytest.mark.parametrize("example", OTHER_LOGS, ids=lambda block: tomllib.loads(block)["reader"]["format"])
def test_an_example_of_the_template_loads_in_place_of_the_first(written: Written, example: str) -> None:
    load_source(written(f'name = "shop"\n{example}\n[event_types.look]\nas = "view"\n'))


def test_the_other_examples_of_the_template_load_where_they_stand(written: Written) -> None:
    lines = TEMPLATE.read_text(encoding="utf-8").partition("# ---- Other formats")[0].splitlines()
    source = load_source(written("\n".join(re.sub(r"^#(?=[a-z\[])", "", line) for line in lines)))
    assert source.items is not None and source.items.files == "catalogue*"
    assert source.columns.consent == "cast(consent AS BOOLEAN)"
