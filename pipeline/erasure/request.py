"""A request for erasure: a file of ids, which become pseudonyms before anything else reads them."""

import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.erasure.tombstones import tombstone_key
from pipeline.errors import InputError, UsageError
from pipeline.landing.zone import LandingZone
from pipeline.pseudonyms import pseudonym, pseudonym_key, user_space
from pipeline.settings import Settings
from pipeline.transforms.identity import WHOLE_NUMBER

DROP_FOLDER = "requests"  # in the home; a request in it is deleted when its erasure has ended


@dataclass(frozen=True)
class Request:
    """A request. `ids` are those of the source, which must not leave this process but as data of its own session.

    space: the id space of the ids. digest: HMAC-SHA256 of the ids by the key of the tombstones, hex; a plain hash of
    few ids could be guessed. dropped_as: the name of the file, if it lies in the drop folder.
    """

    ids: tuple[str, ...]
    pseudonyms: tuple[str, ...]
    space: str
    digest: str
    dropped_as: str | None = None


def request_file(settings: Settings, named: str) -> Path:
    """Return the file of a request: a path, or a bare name in the drop folder of the home."""
    return Path(named) if "/" in named else settings.home / DROP_FOLDER / named


def read_request(settings: Settings, file: Path, source: str | None) -> Request:
    """Read the ids of users and devices, one a line; blank lines and lines that begin with # say nothing.

    source: the source of the ids, needed where sources have id spaces of their own.

    Raises UsageError if there is no such file, and InputError if others may read it or it has no id.
    """
    if not file.is_file():
        raise UsageError(f"no such request: expected a file of ids, one a line, in {file.parent}")
    found = file.stat()
    if found.st_mode & 0o077 or found.st_uid != os.geteuid():
        raise InputError("others may read the request, or it belongs to another account: run `chmod 600` on it")
    lines = (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    # As `id_text` of the sources does: one id has one text.
    ids = sorted({re.sub(WHOLE_NUMBER, r"\1", line) for line in lines if line and not line.startswith("#")})
    if not ids:
        raise InputError("the request has no id: expected ids of users or devices as the source has them, one a line")
    zone = LandingZone(settings.landing_folder)
    space, key = user_space(zone.sources(), source), pseudonym_key(settings)
    text = "\n".join([space, *ids]).encode()
    return Request(
        tuple(ids),
        tuple(pseudonym(space, one, key) for one in ids),
        space,
        hmac.new(tombstone_key(settings), text, hashlib.sha256).hexdigest(),
        file.name if file.parent == settings.home / DROP_FOLDER else None,
    )
