"""Every line of a file lands, numbered, whatever its bytes; the same bytes land once."""

import bz2
import gzip
import json
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.landing.formats import LINES
from pipeline.landing.staging import StagedFile, input_files, sort_files, stage_file, stage_files
from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Reader, Source

JSON = Reader(format="jsonl", fields="user STRING")
CSV = Reader(format="csv", columns=["user", "item"])
WITH_HEADER = Reader(format="csv", columns=["user", "item"], header=True)
DAY = date(2026, 1, 5)

Stage = Callable[..., StagedFile]


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


@pytest.fixture
def stage(tmp_path: Path, zone: LandingZone) -> Stage:
    """Return the function that writes bytes into a file and stages it."""

    def write_and_stage(content: bytes, name: str = "log.jsonl", reader: Reader = JSON) -> StagedFile:
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return stage_file(file, zone.landed_files("web"), reader, tmp_path / "staging")

    return write_and_stage


def land(zone: LandingZone, staged: StagedFile) -> None:
    zone.remember("web", staged.sha256, staged.landed)


def lines_of(staged: StagedFile) -> list[tuple[int, str]]:
    table = pq.read_table(staged.lines_file)
    assert table.schema == LINES and staged.lines == table.num_rows
    assert set(table["file"].to_pylist()) <= {staged.name}
    return list(zip(table["line"].to_pylist(), table["text"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\nc", ["a\rb", "c"]),
        (b"\xef\xbb\xbfa\nb\n", ["a", "b"]),
        (b"a\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        (b"a\n\n\nb\n", ["a", "", "", "b"]),
        (b"\n", [""]),
        (b"", []),
        ("käse\n🦆\u2028x\x85y\n".encode(), ["käse", "🦆\u2028x\x85y"]),
        (b"a\x00b\n\xff\xfe\n", ["a\x00b", "\\xff\\xfe"]),
        (b"half \xc3\nb\n", ["half \\xc3", "b"]),
    ],
    ids=[
        "plain", "no newline at the end", "CRLF", "CR is no end of line", "BOM", "BOM in the middle is kept",
        "blank lines count", "one blank line", "empty", "unicode line ends are none", "bytes that are no text are kept",
        "a cut character is kept",
    ],
)  # fmt: skip
def test_every_line_is_kept_and_numbered_from_1(content: bytes, texts: list[str], stage: Stage) -> None:
    assert lines_of(stage(content)) == list(enumerate(texts, 1))


def test_lines_are_read_in_the_encoding_of_the_source(stage: Stage) -> None:
    reader = Reader(format="csv", columns=["user", "item"], encoding="latin-1")
    assert lines_of(stage("käse,1\n".encode("latin-1"), reader=reader)) == [(1, "käse,1")]


def test_an_encoding_without_a_newline_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="convert the log to utf-8 first"):
        Reader(format="csv", columns=["user", "item"], encoding="utf-16")


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "with BOM"])
def test_a_header_is_kept_with_each_line_and_has_number_1(bom: bytes, stage: Stage) -> None:
    staged = stage(bom + b"user,item\r\nu,1\r\nv,2\r\n", "log.csv", WITH_HEADER)
    assert lines_of(staged) == [(2, "u,1"), (3, "v,2")]
    assert pq.read_table(staged.lines_file)["header"].to_pylist() == ["user,item"] * 2


def test_a_header_alone_has_no_lines(stage: Stage) -> None:
    assert lines_of(stage(b"user,item\n", "log.csv", WITH_HEADER)) == []


def test_many_lines_over_many_batches(stage: Stage) -> None:
    texts = [f"line {number} {'x' * (number % 97)}" for number in range(1, 120_001)]
    assert lines_of(stage("\n".join(texts).encode())) == list(enumerate(texts, 1))


def test_a_line_longer_than_the_buffer(stage: Stage) -> None:
    texts = ["a", "b" * 3_000_000, "c"]
    assert lines_of(stage("\n".join(texts).encode())) == list(enumerate(texts, 1))


def test_a_line_of_forty_mebibytes_lands(stage: Stage) -> None:
    texts = ["a", "b" * (40 << 20), "c"]
    assert lines_of(stage("\n".join(texts).encode())) == list(enumerate(texts, 1))


def test_a_file_of_one_endless_line_is_refused_before_it_fills_the_memory(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.landing.archives.MAX_RATIO", 2_000)
    with pa.output_stream(str(tmp_path / "zeros.gz"), compression="gzip") as stream:
        for _ in range(300):
            stream.write(b"0" * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(
            InputError, match=r"log\.jsonl\.gz: line 1 is longer than 64 MiB; expected one event per line"
        ):
            stage((tmp_path / "zeros.gz").read_bytes(), "log.jsonl.gz")
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_a_header_that_is_too_long_is_refused(stage: Stage) -> None:
    with pytest.raises(
        InputError, match=r"its first line has 1,048,577 characters; expected a header line.*If the file"
    ):
        stage(b"a" * ((1 << 20) + 1) + b"\nu,1\n", "log.csv", WITH_HEADER)


def test_long_lines_are_written_in_small_batches(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.landing.formats.CHARACTERS_PER_BATCH", 1_000)
    staged = stage(b"user,item\n" + b"\n".join([b"x" * 300] * 10), "log.csv", WITH_HEADER)
    assert len(lines_of(staged)) == 10
    assert pq.read_metadata(staged.lines_file).num_row_groups == 3


@pytest.mark.parametrize("ending", ["gz", "zst", "bz2"])
def test_compressed_files_are_unpacked(ending: str, stage: Stage, tmp_path: Path) -> None:
    packed = tmp_path / f"packed.{ending}"
    kind = {"gz": "gzip", "zst": "zstd", "bz2": "bz2"}[ending]
    with pa.output_stream(str(packed), compression=kind) as stream:
        stream.write(b"a\nb\n")
    assert lines_of(stage(packed.read_bytes(), f"log.jsonl.{ending}")) == [(1, "a"), (2, "b")]


def test_a_gzip_of_several_members_is_read_to_its_end(stage: Stage) -> None:
    content = gzip.compress(b"a\nb\n") + gzip.compress(b"c\n")
    assert lines_of(stage(content, "log.jsonl.gz")) == [(1, "a"), (2, "b"), (3, "c")]


def test_a_zstd_of_several_frames_is_read_to_its_end(stage: Stage, tmp_path: Path) -> None:
    frames = []
    for content in (b"a\nb", b"c\n", b"d\n"):
        with pa.output_stream(str(tmp_path / "frame.zst"), compression="zstd") as stream:
            stream.write(content)
        frames.append((tmp_path / "frame.zst").read_bytes())
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"  # parallel compressors write it between frames
    content = frames[0] + skipped + b"".join(frames[1:])
    assert lines_of(stage(content, "log.jsonl.zst")) == [(1, "a"), (2, "bc"), (3, "d")]


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_truncated_file_is_refused(ending: str, stage: Stage, tmp_path: Path) -> None:
    packed = tmp_path / f"packed.{ending}"
    with pa.output_stream(str(packed), compression={"gz": "gzip", "zst": "zstd"}[ending]) as stream:
        stream.write("".join(f"line {number * 7919 % 10007}\n" for number in range(5000)).encode())
    whole = packed.read_bytes()
    with pytest.raises(InputError, match="cannot be read") as raised:
        stage(whole[: len(whole) // 2], f"log.jsonl.{ending}")
    assert "Check that it is complete" in str(raised.value)


def test_the_ending_does_not_say_how_a_file_is_packed(stage: Stage) -> None:
    assert lines_of(stage(b"a\nb\n", "log.jsonl.gz")) == [(1, "a"), (2, "b")]
    assert lines_of(stage(gzip.compress(b"a\nb\n"), "log.GZ")) == [(1, "a"), (2, "b")]
    assert lines_of(stage(bz2.compress(b"a\n") + bz2.compress(b"b\n"), "log")) == [(1, "a"), (2, "b")]


def test_rows_of_parquet_are_lines_of_json(stage: Stage, tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [-(2**63), 2**63 - 1], "tags": [["a"], None]}), tmp_path / "rows.parquet")
    reader = Reader(format="parquet", fields="user BIGINT, tags ARRAY<STRING>")
    staged = stage((tmp_path / "rows.parquet").read_bytes(), "log.parquet", reader)
    assert [(number, json.loads(text)) for number, text in lines_of(staged)] == [
        (1, {"user": -(2**63), "tags": ["a"]}), (2, {"user": 2**63 - 1, "tags": None}),
    ]  # fmt: skip


def test_values_without_a_json_or_python_form_are_kept_as_stored(stage: Stage, tmp_path: Path) -> None:
    far = pa.array([2**62, 0], pa.timestamp("us"))
    columns = {
        "user": pa.array([b"\xffu", b"v"]).view(pa.string()),
        "far": far,
        "deep": pa.StructArray.from_arrays([pa.array([[2**31 - 1], []], pa.list_(pa.int32()))], ["days"]).cast(
            pa.struct([("days", pa.list_(pa.date32()))])
        ),
        "price": pa.array([float("nan"), -float("inf")]),
        "list": pa.array([[1.0, float("inf")], [float("nan")]]),
        "raw": pa.array([b"\xff", None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    staged = stage(
        (tmp_path / "rows.parquet").read_bytes(), "log.parquet", Reader(format="parquet", fields="user STRING")
    )
    first, second = [json.loads(text, parse_constant=pytest.fail) for _, text in lines_of(staged)]
    assert first == {
        "user": "\\xffu", "far": 2**62, "deep": {"days": [2**31 - 1]}, "price": None, "list": [1.0, "Infinity"],
        "raw": "\\xff",
    }  # fmt: skip
    assert second == {
        "user": "v", "far": "1970-01-01 00:00:00", "deep": {"days": []}, "price": "-Infinity", "list": [None],
        "raw": None,
    }  # fmt: skip


def test_a_file_that_is_no_parquet_is_refused(stage: Stage) -> None:
    with pytest.raises(InputError, match="cannot be read as parquet"):
        stage(b"a,b\n", "log.parquet", Reader(format="parquet", fields="user BIGINT"))


def test_the_same_bytes_are_refused_under_any_name(stage: Stage, zone: LandingZone) -> None:
    land(zone, stage(b"a\nb\n"))
    with pytest.raises(InputError, match=r"renamed\.jsonl: the same bytes landed already, as log\.jsonl \(2 lines\)"):
        stage(b"a\nb\n", "renamed.jsonl")


def test_a_file_that_did_not_land_may_come_again(stage: Stage) -> None:
    stage(b"a\n")
    assert lines_of(stage(b"a\n")) == [(1, "a")]


def test_other_bytes_with_the_same_name_get_another_name(stage: Stage, zone: LandingZone) -> None:
    land(zone, stage(b"a\n"))
    other = stage(b"b\n")
    assert other.name == f"log.jsonl~{other.sha256[:8]}"
    assert lines_of(other) == [(1, "b")]


def test_two_files_with_one_name_in_one_landing_get_different_names(tmp_path: Path) -> None:
    """`throughline land monday/ tuesday/`, each with a log.jsonl: file and line identify one line."""
    for day, content in (("monday", "a\n"), ("tuesday", "b\n"), ("wednesday", "b\n")):
        (tmp_path / day).mkdir()
        (tmp_path / day / "log.jsonl").write_text(content)
    logs = [tmp_path / day / "log.jsonl" for day in ("monday", "tuesday", "wednesday")]
    zone, reader = LandingZone(tmp_path / "landing"), Reader(format="jsonl", fields="user STRING")
    monday, tuesday = stage_files(logs[:2], zone, "web", reader, tmp_path / "staging")
    assert monday.name != tuesday.name
    with pytest.raises(InputError, match="the same bytes landed already"):
        stage_files(logs, zone, "web", reader, tmp_path / "staging")


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        input_files([tmp_path / "nowhere"])


def test_a_folder_without_logs_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("a")
    (tmp_path / "_SUCCESS").write_text("")
    with pytest.raises(InputError, match="an empty folder"):
        input_files([tmp_path])


def test_files_of_a_folder_are_sorted_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "deep/c.jsonl", ".d.jsonl", "_e.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a\n")
    found = [file.relative_to(tmp_path).as_posix() for file in input_files([tmp_path])]
    assert found == ["a.jsonl", "b.jsonl", "deep/c.jsonl"]


def source_of(files: str, catalogues: str | None = None) -> Source:
    """Return a source with these patterns for logs and, if given, catalogues."""
    toml = {
        "name": "web",
        "files": files,
        "reader": {"format": "jsonl", "fields": "user STRING"},
        "columns": {"user_id": "user", "event_at": "at", "event_type": "type"},
        "event_types": {"view": {"as": "view"}},
    }
    if catalogues:
        toml["items"] = {"files": catalogues, "reader": toml["reader"], "item_id": "item"}
    return Source.model_validate(toml)


LOG, CATALOGUE, PICTURE = Path("in/log.jsonl"), Path("in/catalogue.jsonl"), Path("in/logo.png")


@pytest.mark.parametrize(
    ("source", "logs", "catalogues", "skipped"),
    [
        (source_of("*"), [LOG, CATALOGUE, PICTURE], [], []),
        (source_of("*", "catalogue*"), [LOG, PICTURE], [CATALOGUE], []),
        (source_of("*.jsonl", "catalogue*"), [LOG], [CATALOGUE], ["logo.png"]),
        (source_of("log.*"), [LOG], [], ["catalogue.jsonl", "logo.png"]),
        (source_of("event*", "catalogue*"), [], [CATALOGUE], ["log.jsonl", "logo.png"]),
    ],
    ids=["logs only", "a catalogue is no log", "both by name", "no catalogues", "catalogues only"],
)
def test_each_file_is_a_log_a_catalogue_or_skipped(
    source: Source, logs: list[Path], catalogues: list[Path], skipped: list[str]
) -> None:
    found = sort_files([LOG, CATALOGUE, PICTURE], source)
    assert (found.logs, found.catalogues, found.skipped) == (logs, catalogues, skipped)


def test_files_without_a_match_are_an_error_with_pattern_and_names() -> None:
    message = r"none of 2 files is one of web: expected names like files = 'event\*'.*found log\.jsonl, logo\.png"
    with pytest.raises(InputError, match=message):
        sort_files([LOG, PICTURE], source_of("event*", "catalogue*"))


def test_closing_a_day_counts_its_lines_and_changes_its_digest(zone: LandingZone, stage: Stage) -> None:
    def put(content: bytes, name: str) -> Any:
        folder = zone.day_folder("web", DAY)
        folder.mkdir(parents=True, exist_ok=True)
        stage(content).lines_file.rename(folder / name)
        zone.close_day("web", DAY)
        return zone.days("web")[DAY]

    assert zone.days("web") == {}
    first = put(b"a\nb\n", "1.parquet")
    assert (first.source, first.day, first.lines) == ("web", DAY, 2)
    zone.close_day("web", DAY)
    assert zone.days("web")[DAY] == first, "closing again changes nothing"
    grown = put(b"c\n", "2.parquet")
    assert grown.lines == 3 and grown.sha256 != first.sha256


def test_an_empty_day_can_be_closed(zone: LandingZone) -> None:
    zone.close_day("web", DAY)
    assert zone.days("web")[DAY].lines == 0
