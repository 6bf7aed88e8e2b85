"""Writing files so that a reader sees all of one or none of it."""

import os
from pathlib import Path


def write_whole(path: Path, content: str) -> None:
    """Write a text file by a rename, so that a killed process leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(content, encoding="utf-8")
    beside.replace(path)


def write_private(path: Path, content: str) -> None:
    """Write a text file that only its owner may read (mode 600 from its first byte)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    beside.replace(path)
