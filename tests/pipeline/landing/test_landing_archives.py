"""Members of archives land as files of their own; binary files of other kinds are refused with what they are."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.landing.staging import StagedFile, input_files, sort_files, stage_files
from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Reader, Source

MEMBERS = {"./events.csv": b"u,1\nv,2\n", "deep/more.csv": b"w,3\n"}
HIDDEN = {"__MACOSX/._events.csv": b"\x00\x05\x16\x07", ".hidden": b"x", "deep/._more.csv": b"\x00"}
CSV = {"format": "csv", "columns": ["user", "item"]}


def source_of(reader: Mapping[str, object] = CSV, files: str = "*", catalogues: str | None = None) -> Source:
    toml = {
        "name": "web", "files": files, "reader": reader, "event_types": {"view": {"as": "view"}},
        "columns": {"user_id": "user", "event_at": "to_timestamp(at)", "event_type": "'view'"},
    }  # fmt: skip
    return Source.model_validate(
        toml | ({"items": {"files": catalogues, "reader": reader, "item_id": "item"}} if catalogues else {})
    )


def tar(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        folder = tarfile.TarInfo("deep")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member))
    return content.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name.removeprefix("./"), member)
    return content.getvalue()


Land = Callable[..., list[StagedFile]]


@pytest.fixture
def stage(tmp_path: Path) -> Land:
    """Return the function that writes files and stages those that are logs."""

    def write_and_stage(source: Source | None = None, **contents: bytes) -> list[StagedFile]:
        source = source or source_of()
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        found = sort_files(input_files([tmp_path / name for name in contents]), source)
        return stage_files(found.logs, LandingZone(tmp_path / "landing"), "web", source.reader, tmp_path / "staging")

    return write_and_stage


def texts_of(staged: list[StagedFile]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for one in staged:
        table = pq.read_table(one.lines_file)
        assert set(table["file"].to_pylist()) <= {one.name}
        assert table["line"].to_pylist() == list(range(1, one.lines + 1))
        texts[one.name] = table["text"].to_pylist()
    return texts


@pytest.mark.parametrize(
    "content",
    [tar(MEMBERS | HIDDEN), tar(MEMBERS | HIDDEN, "w:gz"), tar(MEMBERS | HIDDEN, "w:bz2"), zipped(MEMBERS | HIDDEN),
     tar({name: gzip.compress(member) for name, member in MEMBERS.items()}),
     zipped({name: gzip.compress(member[:4]) + gzip.compress(member[4:]) for name, member in MEMBERS.items()})],
    ids=["tar", "tar.gz", "tar.bz2", "zip", "gzip in tar", "gzip in zip"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["log", "log.GZ", "log.csv"])
def test_each_member_is_a_file_whatever_the_ending(name: str, content: bytes, stage: Land, tmp_path: Path) -> None:
    staged = stage(**{name: content})
    assert texts_of(staged) == {f"{name}/events.csv": ["u,1", "v,2"], f"{name}/deep/more.csv": ["w,3"]}
    assert {path.name for path in tmp_path.iterdir()} == {name, "staging"}
    assert all(path.suffix == ".parquet" for path in (tmp_path / "staging").iterdir()), "nothing is left unpacked"


def test_a_tar_packed_by_zstd(stage: Land) -> None:
    assert texts_of(stage(log=pa.compress(tar(MEMBERS), codec="zstd", asbytes=True)))["log/deep/more.csv"] == ["w,3"]


def test_members_are_sorted_by_their_names_and_by_that_of_the_archive(tmp_path: Path) -> None:
    def sorted_(source: Source, **archives: dict[str, bytes]) -> tuple[list[str], list[str], list[str]]:
        for name, members in archives.items():
            (tmp_path / name).write_bytes(zipped(members))
        found = sort_files(input_files([tmp_path / name for name in archives]), source)
        return [one.name for one in found.logs], [one.name for one in found.catalogues], found.skipped

    both = {"a": {"items.csv": b"1", "events.csv": b"2", "readme.txt": b"3"}}
    assert sorted_(source_of(files="event*", catalogues="item*"), **both) == (
        ["a/events.csv"], ["a/items.csv"], ["a/readme.txt"],
    )  # fmt: skip
    named = {"events.zip": {"1.csv": b"1", "2.csv": b"2"}, "items.zip": {"1.csv": b"3"}}
    assert sorted_(source_of(files="event*", catalogues="item*"), **named) == (
        ["events.zip/1.csv", "events.zip/2.csv"], ["items.zip/1.csv"], [],
    )  # fmt: skip
    mixed = {"items.zip": {"items.csv": b"1", "events.csv": b"2"}}
    assert sorted_(source_of(catalogues="item*"), **mixed) == (["items.zip/events.csv"], ["items.zip/items.csv"], [])


def test_the_same_bytes_are_refused_in_any_archive(stage: Land) -> None:
    same = {"events.csv": b"u,1\n"}
    with pytest.raises(InputError, match=r"b/events.csv: the same bytes landed already, by this command, as a/events"):
        stage(a=tar(same), b=zipped(same))
    with pytest.raises(InputError, match=r"c/events.csv: the same bytes landed already"):
        stage(events=b"u,1\n", c=zipped(same))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({}), "an archive without files"),
        (zipped(HIDDEN), "an archive without files"),
        (zipped(MEMBERS)[:-30], "cannot be unpacked: .*Check that it is complete"),
        (tar({"events.csv": b"u,1\n" * 9_999}, "w:gz")[:150], "cannot be unpacked"),
        (tar({"events.csv": b"u,1\n" * 9_999})[:9_000], "cannot be unpacked"),
        (tar({"a.csv": b"1\n"})[:512] + b"damaged" * 100 + tar({})[512:], "unpacked: a damaged header"),
        (tar({"a.csv": b"1\n", "b.csv": b"2\n"})[:2_100], "a damaged header, or no end|unexpected end"),
        (tar({"a.csv": b"1\n"}) + tar({"b.csv": b"2\n"}), "cannot be unpacked: more bytes after its end"),
        (gzip.compress(zipped(MEMBERS)), "a zip archive that is packed once more"),
        (gzip.compress(gzip.compress(b"a\n")), "it is packed twice, the second time as gzip; expected lines of text"),
        (zipped({"in.zip": zipped(MEMBERS)}), "in.zip: it is a zip archive inside another file"),
        (zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), "an Office document, such as xlsx"),
        (tar({"a.csv": b"1\n"} | {"./a.csv": b"2\n"}), "it holds a.csv more than once"),
    ],
    ids=["empty", "hidden only", "cut zip", "cut tar.gz", "cut tar", "damaged tar",
         "tar cut in a header", "two tars", "zip.gz", "gz.gz", "zip in zip", "xlsx", "twice"],
)  # fmt: skip
def test_an_archive_that_cannot_be_read_is_refused(content: bytes, message: str, stage: Land) -> None:
    with pytest.raises(InputError, match=message):
        stage(log=content)


def parquet() -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table({"user": ["u"], "item": [1]}), content)
    return content.getvalue()


def orc_file() -> bytes:
    content = io.BytesIO()
    orc.write_table(pa.table({"user": ["u"]}), content)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (parquet(), 'it is a Parquet file; expected lines of text, since .*"csv".*set format = "parquet"'),
        (gzip.compress(parquet()), "it is a Parquet file"),
        (b"Obj\x01" + b"\x04\x16avro.schema", 'it is an Avro file; .*set format = "avro"'),
        (orc_file(), "it is an ORC file; .*export its rows"),
        (b"SQLite format 3\x00" + bytes(80), "it is an SQLite database"),
        (b"%PDF-1.7\n", "it is a PDF document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "it is a PNG picture"),
        (b"\xff\xd8\xff\xe0", "it is a JPEG picture"),
        (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; .*unpack it first"),
        (b"Rar!\x1a\x07\x01\x00", "it is a RAR archive"),
        (b"\xfd7zXZ\x00", "it is an xz file"),
        (b"\x7fELF\x02\x01", "it is a program"),
        (b"MZ\x90\x00\x03\x00", "it is a program"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is an old Office document"),
        ("user,item\n".encode("utf-16"), "it is text in UTF-16; .*convert it to utf-8 first"),
        (("user,item\n" * 20).encode("utf-16-le"), "it is text in UTF-16"),
        (bytes(range(8)) * 4 + bytes(80), "it is binary data"),
    ],
)  # fmt: skip
def test_a_binary_file_is_refused_with_what_it_is(content: bytes, message: str, stage: Land) -> None:
    with pytest.raises(InputError, match=message.replace('"csv"', "'csv'")) as raised:
        stage(log=content)
    assert "Nothing of it was landed" in str(raised.value)


def test_text_that_begins_like_a_program_or_a_picture_lands(stage: Land) -> None:
    lines = {"a": b"MZ,1\n", "b": b"BZh9,1\n", "c": b"PK,1\n", "d": b"Rar!,1\n", "e": b"GIF,1\n"}
    lines |= {f"f{number}": word + b",gr\xc3\xb6\xc3\x9fe\n" for number, word in enumerate(
        (b"PARENT_ID", b"ORCID", b"PAR1", b"OggS", b"GIF89a", b"FEA1", b"1234567,DUCK_TOY")
    )}  # fmt: skip
    assert texts_of(stage(**lines)) == {name: [text.decode().strip()] for name, text in lines.items()}


def test_parquet_in_an_archive_is_read(stage: Land, tmp_path: Path) -> None:
    source = source_of({"format": "parquet", "fields": "user STRING, item STRING"})
    row = ['{"user": "u", "item": 1}']
    assert texts_of(stage(source, a=tar({"p": parquet()}, "w:gz"))) == {"a/p": row}
    assert texts_of(stage(source, b=zipped({"p": parquet()}), c=gzip.compress(parquet()))) == {"b/p": row, "c": row}
    with pytest.raises(InputError, match="d: cannot be read as parquet: it begins with b'u,1"):
        stage(source, d=b"u,1\n")
    with pytest.raises(InputError, match=r"e/p: it is a PDF document; expected a Parquet file"):
        stage(source, e=tar({"p": b"%PDF-1.7"}))


def test_maps_become_objects_with_microseconds_and_equal_names_are_refused(stage: Land) -> None:
    source = source_of({"format": "parquet", "fields": "user STRING, item STRING"})
    at = pa.array([1_772_359_200_123_456_789], pa.timestamp("ns"))
    maps = pa.MapArray.from_arrays([0, 1], pa.array(["seen"]), at)
    content = io.BytesIO()
    pq.write_table(pa.table({"user": ["u"], "at": maps}), content)
    row = '{"user": "u", "at": {"seen": "2026-03-01 10:00:00.123456"}}'
    assert texts_of(stage(source, a=content.getvalue())) == {"a": [row]}
    content = io.BytesIO()
    pq.write_table(pa.table([["u"], ["v"]], names=["user", "user"]), content)
    with pytest.raises(InputError, match="more than one column named user; rename one of them"):
        stage(source, b=content.getvalue())


def test_avro_packed_by_snappy_is_read(stage: Land) -> None:
    schema = {"type": "record", "name": "row", "fields": [{"name": "user", "type": "string"}]}
    content = io.BytesIO()
    fastavro.writer(content, schema, [{"user": "u"}], codec="snappy")
    source = source_of({"format": "avro", "fields": "user STRING, item STRING"})
    assert texts_of(stage(source, a=content.getvalue())) == {"a": ['{"user": "u"}']}


def test_a_text_source_names_the_format_to_set() -> None:
    with pytest.raises(ValueError, match="format 'avro' needs the key 'fields'"):
        Reader(format="avro")
