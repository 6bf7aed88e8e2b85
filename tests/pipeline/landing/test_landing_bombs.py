"""Files that are made to harm: packed too well, and links to other files."""

import bz2
import gzip
import io
import tarfile
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.landing.archives import open_file
from pipeline.landing.staging import input_files, stage_file
from pipeline.sources.schema import Reader

READER = Reader(format="csv", columns=["user"])
BOMB = b"\n" * (8 << 20)


def in_tar(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(BOMB),
        bz2.compress(BOMB),
        in_tar("log.gz", gzip.compress(BOMB)),
        gzip.compress(in_tar("log", BOMB)),
    ],
    ids=["gzip", "bzip2", "gzip in tar", "tar.gz"],
)
def test_a_file_that_unpacks_to_far_more_is_refused(tmp_path: Path, packed: bytes) -> None:
    (tmp_path / "log").write_bytes(packed)
    with pytest.raises(InputError, match=r"log.*: \d.* packed bytes unpack to more than 250 times as many"):
        [stage_file(file, {}, READER, tmp_path / "staging") for file in input_files([tmp_path / "log"])]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_log_that_packs_well_is_read_whole(tmp_path: Path, pack) -> None:
    line = b"u-%d,2026-01-05T10:00:00Z,view,/a/long/path/of/a/page/that/all/lines/share\n"
    content = b"".join(line % (number * number % 99_991) for number in range(40_000))
    (tmp_path / "log").write_bytes(pack(content))
    with open_file(tmp_path / "log") as unpacked:
        assert unpacked.read() == content


def test_a_link_out_of_a_folder_is_refused_and_one_within_is_left_out(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "logs"
    folder.mkdir()
    for file in (secret, folder / "a.csv"):
        file.write_text("u\n")
    (folder / "latest.csv").symlink_to("a.csv")
    assert input_files([folder]) == [folder / "a.csv"]
    assert input_files([folder / "latest.csv"]) == [folder / "latest.csv"], "who names a link means it"
    (folder / "b.csv").symlink_to(secret)
    with pytest.raises(InputError, match=r"b\.csv: a link to .*secret, outside of .*logs: name that file itself"):
        input_files([folder])
