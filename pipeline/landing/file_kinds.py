"""What a file is, by its first bytes: how it is packed, or which binary format it has."""

import re
import tarfile
from dataclasses import dataclass

HEAD_BYTES = 4_096  # enough for every magic number
COMPRESSIONS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL),
    "bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", re.DOTALL),
}
ZIP = re.compile(rb"PK(?:\x03\x04|\x05\x06)", re.DOTALL)
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
WORD = re.compile(rb"\w+")
LEAST_NUL_SHARE = 0.2  # of the first bytes; text has none


@dataclass(frozen=True)
class BinaryKind:
    """A binary format: its name with an article, and what to do with such a file."""

    name: str
    advice: str


PARQUET = BinaryKind("a Parquet file", 'set format = "parquet" and `fields` in [reader]')
AVRO = BinaryKind("an Avro file", 'set format = "avro" and `fields` in [reader]')
_TABLE = "save its table as CSV first"
_UNPACK = "unpack it first"
_EXPORT = "export its rows as JSON lines, CSV or Parquet first"
_NO_LOG = "leave it out"
_UTF8 = "convert it to utf-8 first, such as with `iconv -f UTF-16 -t UTF-8`"
BINARY_KINDS: tuple[tuple[bytes, BinaryKind], ...] = (
    (rb"PAR1", PARQUET),
    (rb"PARE", BinaryKind("an encrypted Parquet file", "decrypt it first")),
    (rb"Obj\x01", AVRO),
    (rb"ORC", BinaryKind("an ORC file", _EXPORT)),
    (rb"ARROW1\x00\x00|FEA1", BinaryKind("an Arrow (Feather) file", _EXPORT)),
    (rb"SQLite format 3\x00", BinaryKind("an SQLite database", _EXPORT)),
    (rb".{8}DUCK.\x00{7}", BinaryKind("a DuckDB database", _EXPORT)),
    (rb"\x89HDF\r\n\x1a\n", BinaryKind("an HDF5 file", _EXPORT)),
    (rb"\x93NUMPY", BinaryKind("a NumPy file", _EXPORT)),
    (rb"\x80[\x02-\x05][\x95}\](ccX]", BinaryKind("a Python pickle", _EXPORT)),
    (rb"LPKSHHRH", BinaryKind("a systemd journal", "export it first with `journalctl -o json`")),
    (rb"ElfFile\x00", BinaryKind("a Windows event log", _EXPORT)),
    (rb"\xd4\xc3\xb2\xa1|\xa1\xb2\xc3\xd4|\x0a\x0d\x0d\x0a....(?:\x4d\x3c\x2b\x1a|\x1a\x2b\x3c\x4d)",
     BinaryKind("a capture of network packets", _NO_LOG)),
    (rb"%PDF-", BinaryKind("a PDF document", _NO_LOG)),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", BinaryKind("an old Office document, such as xls", _TABLE)),
    (rb"\x89PNG\r\n\x1a\n", BinaryKind("a PNG picture", _NO_LOG)),
    (rb"\xff\xd8\xff", BinaryKind("a JPEG picture", _NO_LOG)),
    (rb"GIF8[79]a", BinaryKind("a GIF picture", _NO_LOG)),
    (rb"RIFF....(?:WEBP|WAVE|AVI )", BinaryKind("a picture, sound or film", _NO_LOG)),
    (rb"(?:\x00\x00\x00.ftyp)|OggS|ID3[\x02-\x04]|fLaC", BinaryKind("a sound or film", _NO_LOG)),
    (rb"7z\xbc\xaf\x27\x1c", BinaryKind("a 7z archive", _UNPACK)),
    (rb"Rar!\x1a\x07", BinaryKind("a RAR archive", _UNPACK)),
    (rb"\xfd7zXZ\x00", BinaryKind("an xz file", _UNPACK)),
    (rb"\x04\x22\x4d\x18", BinaryKind("an lz4 file", _UNPACK)),
    (rb"\xff\x06\x00\x00sNaPpY", BinaryKind("a snappy file", _UNPACK)),
    (rb"\x1f[\x9d\xa0]", BinaryKind("a file of `compress` (.Z)", _UNPACK)),
    (rb"\x7fELF|\xca\xfe\xba\xbe|[\xce\xcf]\xfa\xed\xfe|\x00asm|MZ.{0,60}\x00", BinaryKind("a program", _NO_LOG)),
    (rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff", BinaryKind("text in UTF-32", _UTF8.replace("16 -t", "32 -t"))),
    (rb"\xff\xfe|\xfe\xff", BinaryKind("text in UTF-16", _UTF8)),
)  # fmt: skip
_BINARY = [(re.compile(magic, re.DOTALL), kind) for magic, kind in BINARY_KINDS]


def compression_of(head: bytes) -> str | None:
    """Return the compression of a file by its first bytes, as Arrow names it."""
    return next((name for name, magic in COMPRESSIONS.items() if magic.match(head)), None)


def archive_of(head: bytes) -> str | None:
    """Return `zip` or `tar`, if a file begins with these bytes. A tar begins with a header that has a checksum."""
    if ZIP.match(head):
        return "zip"
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return "tar"


def binary_kind(head: bytes) -> BinaryKind | None:
    """Return the binary format of a file by its first bytes; None if they may be text."""
    for magic, kind in _BINARY:
        found = magic.match(head)
        # A log may begin with the letters of a magic number, such as a column named PARENT_ID.
        if found and (CONTROL.search(head) or not WORD.fullmatch(found[0])):
            return kind
    if compression := compression_of(head):
        return BinaryKind(f"packed twice, the second time as {compression}", _UNPACK)
    if archive := archive_of(head):
        return BinaryKind(f"a {archive} archive inside another file", _UNPACK)
    if len(head) >= 64 and head.count(b"\x00") >= LEAST_NUL_SHARE * len(head):
        half = len(head) // 2
        nuls = sorted((head[::2].count(b"\x00"), head[1::2].count(b"\x00")))
        is_utf16 = nuls[1] > 0.8 * half and nuls[0] < 0.2 * half
        return BinaryKind("text in UTF-16", _UTF8) if is_utf16 else BinaryKind("binary data", _NO_LOG)
    return None
