"""Files to land: files on disk, and the members of zip and tar archives, read as streams and never extracted."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self, cast

import pyarrow as pa

from pipeline.errors import InputError, is_full_or_broken_disk
from pipeline.landing.file_kinds import HEAD_BYTES, archive_of, compression_of

BUFFER_BYTES = 1 << 20
MAX_RATIO = 250  # unpacked to packed bytes; logs have 5 to 60, and gzip packs blank lines 1,000 to 1
# Documents that are zip archives inside, by a member that all of them have.
ZIP_DOCUMENTS = {
    "[Content_Types].xml": "an Office document, such as xlsx: save its table as CSV first",
    "META-INF/MANIFEST.MF": "a Java archive: leave it out",
    "mimetype": "an OpenDocument or an e-book: save its table as CSV first",
}
UNREADABLE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
    RuntimeError,
    pa.ArrowInvalid,
)


@dataclass(frozen=True)
class Member:
    """A file in an archive. sha256: of its bytes."""

    archive: Path
    member: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.archive}/{self.member}"

    @property
    def name(self) -> str:
        return f"{self.archive.name}/{self.member}"

    def match(self, pattern: str) -> bool:
        return PurePosixPath(self.member).match(pattern)


InputFile = Path | Member


def with_members(file: Path) -> list[InputFile]:
    """Return the members of an archive in its order, or the file itself if it is none.

    Hidden files, folders, links and what macOS adds (`__MACOSX`) are left out.

    Raises InputError if the archive is empty, damaged or encrypted, or if it is a document.
    """
    try:
        with file.open("rb") as raw, _unpacked(raw) as content:
            kind = archive_of(content.peek(HEAD_BYTES)[:HEAD_BYTES])
        if not kind:
            return [file]
        found = [Member(file, name, _sha256(content))
                 for name, content in _members(file)]  # fmt: skip
    except UNREADABLE as error:
        if is_full_or_broken_disk(error):
            raise
        raise InputError(
            f"{file}: cannot be unpacked: {error}; nothing of it was landed. Check that it is complete"
        ) from None
    if len(names := [member.member for member in found]) > len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{file}: it holds {twice} more than once: unpack it first. Nothing of it was landed")
    if not found:
        raise InputError(f"{file}: an archive without files; expected log files in it")
    return list(found)


@contextmanager
def open_file(file: InputFile) -> Iterator[io.BufferedReader]:
    """Yield the bytes of a file, unpacked."""
    if isinstance(file, Member):
        for _, content in open_members(file.archive, {file.member}):
            yield content
    else:
        with file.open("rb") as raw, _unpacked(raw) as content:
            yield content


def open_members(archive: Path, names: Collection[str]) -> Iterator[tuple[str, io.BufferedReader]]:
    """Yield members of an archive and their bytes, unpacked, in one pass; each must be read before the next."""
    for name, raw in _members(archive, names):
        with _unpacked(raw) as content:
            yield name, content


def _members(archive: Path, names: Collection[str] | None = None) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb") as raw, _unpacked(raw) as content:
        if archive_of(content.peek(HEAD_BYTES)[:HEAD_BYTES]) == "tar":
            found = _members_of_tar(content)
        elif isinstance(content.raw, io.FileIO):
            found = _members_of_zip(archive)
        else:
            raise InputError(f"{archive}: a zip archive that is packed once more: unpack it first. Nothing was landed")
        yield from ((name, member) for name, member in found if names is None or name in names)


class _StrictTarInfo(tarfile.TarInfo):
    """A header of a tar, an error if it is damaged; `tarfile` would take it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the end of the archive
                raise
            raise tarfile.ReadError(f"a damaged header, or no end: {error}") from None


def _members_of_tar(content: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=content, mode="r|", tarinfo=_StrictTarInfo) as tar:
        for info in tar:
            name = PurePosixPath(info.name).as_posix()
            if info.isfile() and not _is_hidden(name) and (member := tar.extractfile(info)):
                yield name, member
        while block := cast(Any, tar.fileobj).read(BUFFER_BYTES):
            if block.strip(b"\0"):
                raise tarfile.ReadError("more bytes after its end, such as a second archive: unpack it first")


def _members_of_zip(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as packed:
        for sign, kind in ZIP_DOCUMENTS.items():
            if sign in packed.namelist():
                raise InputError(f"{archive}: it is {kind}; expected a log. Nothing of it was landed")
        for info in packed.infolist():
            if info.is_dir() or _is_hidden(info.filename):
                continue
            if info.flag_bits & 1:
                raise InputError(f"{archive}: it is encrypted: unpack it first with its password. Nothing was landed")
            with packed.open(info) as member:
                yield PurePosixPath(info.filename).as_posix(), member


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(BUFFER_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _is_hidden(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name.startswith((".", "_")) or "__MACOSX" in path.parts


@contextmanager
def _unpacked(raw: IO[bytes]) -> Iterator[io.BufferedReader]:
    """Yield the bytes of a stream, unpacked if they are compressed: all members of gzip, all frames of zstd."""
    buffered: io.BufferedReader = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(Any, raw))
    compression = compression_of(buffered.peek(HEAD_BYTES)[:HEAD_BYTES])
    if not compression:
        yield buffered
        return
    packed = _Counted(buffered)
    with pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), compression) as unpacked:
        yield io.BufferedReader(_Bounded(unpacked, packed), BUFFER_BYTES)


class _Counted(io.RawIOBase):
    """A stream that counts the bytes that were read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self.count += len(block)
        return len(block)


class _Bounded(_Counted):
    """An unpacked stream, an error if it is far larger than the packed one: a small file could fill the disk."""

    def __init__(self, stream: IO[bytes], packed: _Counted) -> None:
        super().__init__(stream)
        self._packed = packed

    def readinto(self, buffer: Any) -> int:
        """Read a block. Raises OSError, as an unreadable file does, if the packed bytes so far unpack to too many."""
        length = super().readinto(buffer)
        if self.count > MAX_RATIO * self._packed.count + BUFFER_BYTES:
            raise OSError(
                f"{self._packed.count:,} packed bytes unpack to more than {MAX_RATIO} times as many; if that is right, "
                f"unpack it first and land it unpacked"
            )
        return length
