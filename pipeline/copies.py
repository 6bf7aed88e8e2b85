"""Copies of rows that commands wrote outside of the home: exports and backups. No erasure can rewrite them.

copies.jsonl    in the home, one JSON object a line: what was written, where and when
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from throughline.stores import is_remote

COPIES = "copies.jsonl"
BACKUP, EXPORT = "backup", "export"


@dataclass(frozen=True)
class Copy:
    """A copy. what: BACKUP or EXPORT. path: of the folder or file. made_at: UTC."""

    what: str
    path: str
    made_at: str


def remember_copy(home: Path, what: str, path: Path, made_at: str | None = None) -> None:
    """Note that a command wrote a copy. One within the home is not noted, since an erasure reaches it.

    made_at: UTC; by default now.
    """
    if not is_remote(path):
        path = path.expanduser().resolve()
        if path.is_relative_to(home):
            return
    copy = Copy(what, str(path), made_at or f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}")
    file = home / COPIES
    file.touch(mode=0o600)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(copy)) + "\n")


def known_copies(home: Path) -> list[Copy]:
    """Return the copies that were noted, the newest of each path."""
    file = home / COPIES
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    copies = [Copy(**json.loads(line)) for line in lines]
    return list({copy.path: copy for copy in copies}.values())
