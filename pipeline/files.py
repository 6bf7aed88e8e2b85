"""Write files atomically: a reader sees the whole file or none of it."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: str) -> None:
    """Write a text file by a rename; a killed process leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(path)


def write_private(path: Path, content: str, only_if_missing: bool = False) -> None:
    """Write a text file that only its owner may read (mode 600 from its first byte).

    only_if_missing: leave a file that exists as it is, also one that another process makes meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    if not only_if_missing:
        temporary.replace(path)
        return
    with suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()
