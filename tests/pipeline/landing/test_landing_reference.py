"""Files are read in blocks and by several threads; the lines are those of a reader that takes them one by one."""

import gzip
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.landing.staging import stage_files
from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Reader

PARTS = [b"a", b"{}", b",", b"\n", b"\n", b"\r\n", b"\r", b"\xff", b"\xc3", b"\xa4", b"\xef\xbb\xbf", b"\x00", b"\x85",
         "🦆".encode(), "\u2028".encode(), b"\xed\xa0\x80", b"\x81"]  # fmt: skip


def lines_one_by_one(content: bytes, encoding: str) -> list[str]:
    """Return the lines of a text as `str.split` finds them, each without one CR at its end; the first without a BOM."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    texts = [line.removesuffix(b"\r").decode(encoding, errors="backslashreplace") for line in lines]
    return [texts[0].removeprefix("\ufeff"), *texts[1:]] if texts else []


@pytest.mark.parametrize("has_header", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252", "gbk"])
def test_random_bytes_give_the_lines_of_the_reference(
    encoding: str, has_header: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = random.Random(f"{encoding} {has_header}")
    contents = {b"".join(choose.choices(PARTS, k=choose.randrange(60))) for _ in range(60)}
    files: list[Path] = []
    for number, content in enumerate(sorted(contents)):
        files.append(tmp_path / (f"{number}.log.gz" if number % 2 else f"{number}.log"))
        files[-1].write_bytes(gzip.compress(content, mtime=0) if number % 2 else content)
    reader = Reader(format="csv", columns=["user"], header=has_header, encoding=encoding)
    for block_bytes in (1, 3, 16, 1 << 20):
        monkeypatch.setattr("pipeline.landing.text.BLOCK_BYTES", block_bytes)
        staged = stage_files(files, LandingZone(tmp_path / "landing"), "web", reader, tmp_path / "staging")
        assert [file.name for file in staged] == [file.name for file in files]
        for content, file in zip(sorted(contents), staged, strict=True):
            texts = lines_one_by_one(content, encoding)
            header = texts[0] if has_header and texts else None
            expected = [(file.name, number, text, header) for number, text in enumerate(texts, 1)][has_header:]
            found = pq.read_table(file.lines_file)
            assert list(zip(*[found[name].to_pylist() for name in found.column_names], strict=True)) == expected
            assert file.lines == len(expected)


def test_a_line_of_exactly_the_limit_lands_and_one_more_byte_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.landing.text.MAX_LINE_BYTES", 20)
    reader, zone = Reader(format="jsonl", fields="user STRING"), LandingZone(tmp_path / "landing")
    for block_bytes in (1, 7, 20):
        monkeypatch.setattr("pipeline.landing.text.BLOCK_BYTES", block_bytes)
        for end in (b"", b"\n", b"\nb\n"):
            (tmp_path / "fits.log").write_bytes(b"a\n" + b"x" * 20 + end)
            (tmp_path / "long.log").write_bytes(b"a\n" + b"x" * 21 + end)
            stage_files([tmp_path / "fits.log"], zone, "web", reader, tmp_path / "staging")
            with pytest.raises(InputError, match=r"long\.log: line 2 is longer than 0 MiB"):
                stage_files([tmp_path / "long.log"], zone, "web", reader, tmp_path / "staging")


def test_equal_files_in_one_landing_are_refused_with_both_names(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(b"x\n")
    reader = Reader(format="jsonl", fields="user STRING")
    with pytest.raises(InputError, match=r"b\.log: the same bytes landed already, by this command, as a\.log"):
        stage_files(sorted(tmp_path.glob("*.log")), LandingZone(tmp_path / "landing"), "web", reader, tmp_path / "s")
