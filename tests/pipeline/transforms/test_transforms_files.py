"""From the bytes of a file to events: spreadsheets, encodings, compression, changing columns, huge lines."""

import gzip
import hmac
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.errors import InputError
from pipeline.sources.rules import Sizes
from pipeline.sources.schema import Source

DAY = date(2026, 1, 5)
COLUMNS = {
    "user_id": "user", "event_at": "to_timestamp(at)", "event_type": "type", "item_id": "item", "url": "title",
    "tags": "split(topics, '[|]')",
}  # fmt: skip
TYPES = {"pv": {"as": "view"}}
NAMES = ["user", "at", "type", "item", "title", "topics"]
FIELDS = "user STRING, at STRING, type STRING, item STRING, title STRING, topics STRING"
AT = "2026-01-05 10:00:00"

Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_bytes(name: str, content: bytes) -> Path:
        file = tmp_path / "in" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        return file

    return write_bytes


def source_of(**reader: Any) -> Source:
    toml = {"name": "web", "reader": reader, "columns": COLUMNS, "event_types": TYPES}
    return Source.model_validate(toml)


def pseudonym(user: str) -> str:
    return hmac.digest(b"key", f"web\x1f{user}".encode(), "sha256").hex()


def test_a_csv_of_a_spreadsheet_keeps_ids_quotes_and_commas_exactly(write: Write, cleaned_log) -> None:
    """A BOM, CRLF, quoted commas and quotes, ids at the limits of 64 bits and beyond, trailing separators."""
    users = ["9223372036854775807", "-9223372036854775808", "18446744073709551615", "00042", "-1", "1e3"]
    rows = [f'{user},{AT},pv,{user},"a, ""b"" ; c",x|y,,' for user in users]
    content = ("\ufeff" + "\r\n".join(["user,at,type,item,title,topics", *rows]) + "\r\n").encode()
    log = cleaned_log(source_of(format="csv", columns=NAMES, header=True), write("log.csv", content), arrival_day=DAY)
    assert log.counts == {"accepted": len(users), "duplicates": 0}
    found = sorted(log.cleaned.events.collect(), key=lambda row: row.line)
    assert [row.item_id for row in found] == users
    assert [row.user_id for row in found] == [pseudonym(user) for user in users]
    assert {(row.url, *row.tags) for row in found} == {('a, "b" ; c', "x", "y")}


@pytest.mark.parametrize(
    ("written_in", "read_in", "title"),
    [
        ("latin-1", "latin-1", "Käse für 5"),
        ("cp1252", "cp1252", "Käse für 5 € – “gut”"),
        ("shift_jis", "shift_jis", "表示"),
        ("latin-1", "utf-8", "K\\xe4se f\\xfcr 5"),
        ("utf-8", "latin-1", "KÃ¤se"),
    ],
)
def test_text_in_another_encoding_is_read_as_the_toml_says_or_kept_as_bytes(
    written_in: str, read_in: str, title: str, write: Write, cleaned_log
) -> None:
    spoken = {"K\\xe4se f\\xfcr 5": "Käse für 5", "KÃ¤se": "Käse"}.get(title, title)
    content = f"u,{AT},pv,i,{spoken},x\nv,{AT},pv,i,plain,x\n".encode(written_in)
    source = source_of(format="csv", columns=NAMES, encoding=read_in)
    rows = cleaned_log(source, write("log.csv", content), arrival_day=DAY).validated.collect()
    assert sorted((row.line, row.url, row.reason) for row in rows) == [(1, title, None), (2, "plain", None)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_file_of_two_bytes_a_letter_is_refused_with_its_encoding(encoding: str, write: Write, cleaned_log) -> None:
    content = "".join(f'{{"user": "u{number}", "at": "{AT}", "type": "pv"}}\n' for number in range(5)).encode(encoding)
    file = write("log.jsonl", content)
    with pytest.raises(InputError, match=f"it is text in {encoding[:6].upper()}; .*convert it to utf-8 first"):
        cleaned_log(source_of(format="jsonl", fields=FIELDS), file, arrival_day=DAY)


def zstd(content: bytes, scratch: Path) -> bytes:
    with pa.output_stream(str(scratch), compression="zstd") as stream:
        stream.write(content)
    return scratch.read_bytes()


def test_columns_of_a_csv_may_be_new_gone_or_in_another_order(write: Write, cleaned_log, tmp_path: Path) -> None:
    """Three months of one source: gzip of two members, zstd of two frames, plain text."""
    january = [f"user,at,type,item,title,topics\nu1,{AT},pv,i1,hat,a|b\n".encode(), f"u2,{AT},pv,i2,cap,c\n".encode()]
    february = [f"type,price,user,title,at,item\npv,9,u3,hat,{AT},i3\n".encode(), f"pv,,u4,cap,{AT},i4\n".encode()]
    march = f'"at","user","type","campaign ""x"", y"\n{AT},u5,pv,spring\n{AT},u6\n'.encode()
    files = [
        write("01.csv.gz", b"".join(gzip.compress(part) for part in january)),
        write("02.csv.zst", b"".join(zstd(part, tmp_path / "scratch.zst") for part in february)),
        write("03.csv", march),
    ]
    log = cleaned_log(source_of(format="csv", columns=NAMES, header=True), *files, arrival_day=DAY)
    assert log.counts == {"accepted": 5, "duplicates": 0, "unparsable": 1}
    rows = sorted(log.cleaned.events.collect(), key=lambda row: (row.file, row.line))
    found = [(row.user_id, row.item_id, row.url, row.tags) for row in rows]
    assert found == [
        (pseudonym("u1"), "i1", "hat", ["a", "b"]), (pseudonym("u2"), "i2", "cap", ["c"]),
        (pseudonym("u3"), "i3", "hat", []), (pseudonym("u4"), "i4", "cap", []),
        (pseudonym("u5"), None, None, []),
    ]  # fmt: skip


def test_keys_of_json_lines_may_be_new_gone_in_another_order_or_of_another_type(write: Write, cleaned_log) -> None:
    good = {"user": "u", "at": "2026-01-05T10:00:00Z", "type": "pv", "item": "i", "title": "hat"}
    versions: list[tuple[dict[str, Any], tuple[str | None, str | None]]] = [
        (good, ("i", "hat")),
        (dict(reversed(good.items())), ("i", "hat")),
        ({**good, "item": 9223372036854775807, "price": {"EUR": 1.5}}, ("9223372036854775807", "hat")),
        ({**good, "item": -42, "title": None}, ("-42", None)),
        ({name: value for name, value in good.items() if name != "item"}, (None, "hat")),
        ({**good, "title": {"de": "Hut", "en": "hat"}}, ("i", '{"de":"Hut","en":"hat"}')),
    ]
    content = "".join(
        json.dumps({**line, "user": f"u{number}"}) + "\n" for number, (line, _) in enumerate(versions)
    ).encode()
    file = write("log.jsonl.gz", gzip.compress(content))
    log = cleaned_log(source_of(format="jsonl", fields=FIELDS), file, arrival_day=DAY)
    rows = sorted(log.validated.collect(), key=lambda row: row.line)
    assert [row.reason for row in rows] == [None] * len(versions)
    assert [(row.item_id, row.url) for row in rows] == [expected for _, expected in versions]


@pytest.mark.parametrize("format", ["jsonl", "csv", "regex"])
@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_a_line_of_nineteen_megabytes_is_an_event_like_any_other(format: str, write: Write, cleaned_log) -> None:
    title = "a b" * 6_400_000  # Spark's reader of JSON takes values of at most 20 million characters
    if format == "jsonl":
        texts = [json.dumps({"user": user, "at": AT, "type": "pv", "title": title}) for user in ("u", "v")]
        source = source_of(format="jsonl", fields=FIELDS)
    elif format == "csv":
        texts = [f'{user},{AT},pv,,"{title}",' for user in ("u", "v")]
        source = source_of(format="csv", columns=NAMES)
    else:
        texts = [f"{user};{AT};pv;{title};;" for user in ("u", "v")]
        pattern = (
            "^" + ";".join(f"(?<{name}>[^;]*)" for name in ("user", "at", "type", "title", "item", "topics")) + "$"
        )
        source = source_of(format="regex", pattern=pattern)
    texts[1] = texts[1][:-1]
    source = source.model_copy(update={"sizes": Sizes(text_characters=20_000_000)})
    log = cleaned_log(source, write("log", "\n".join(texts).encode()), arrival_day=DAY)
    assert log.counts == {"accepted": 1, "duplicates": 0, "unparsable": 1}
    assert [row.letters for row in log.cleaned.events.selectExpr("length(url) AS letters").collect()] == [len(title)]
