"""The stored form of a source's user id, and the key that makes it.

`pipeline/transforms/pseudonymize.py` computes the same form in Spark.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from pipeline.errors import InputError
from pipeline.files import write_private
from pipeline.settings import Settings
from pipeline.sources.schema import Source

KEY_FILE, FINGERPRINT_FILE = "pseudonym.key", "pseudonym.key.fingerprint"
LEAST_KEY_CHARACTERS = 16
SEPARATOR = "\x1f"  # the names of spaces do not contain it


def pseudonym_key(settings: Settings) -> bytes:
    """Return the key of the settings, else that of this home. A new home gets one, mode 600.

    The home keeps the fingerprint of the first key that it used.

    Raises InputError if the key is lost, short, readable by others, or another one than the home's data was made with:
    the pseudonyms of one user would differ.
    """
    file, kept = settings.home / KEY_FILE, settings.home / FINGERPRINT_FILE
    if settings.pseudonym_key is not None:
        text, place = settings.pseudonym_key.get_secret_value(), "the setting pseudonym_key"
    else:
        if not file.is_file():
            require_new(settings)
            write_private(file, secrets.token_hex(32), only_if_missing=True)
        if file.stat().st_mode & 0o077:
            raise InputError(f"others can read {file}, the key of all pseudonyms: run `chmod 600 {file}`")
        text, place = file.read_text(encoding="utf-8"), str(file)
    key = text.strip()
    if len(key) < LEAST_KEY_CHARACTERS:
        raise InputError(
            f"the key in {place} has {len(key)} characters, expected {LEAST_KEY_CHARACTERS} or more: a short key can "
            f"be guessed; restore the key from its backup, or for a new home make one: openssl rand -hex 32"
        )
    found = key_fingerprint(key.encode())
    if not kept.is_file():
        write_private(kept, found, only_if_missing=True)
    require_same_key(found, kept.read_text(encoding="utf-8").strip(), str(settings.home))
    return key.encode()


def key_fingerprint(key: bytes) -> str:
    """Return what tells two keys apart and does not give away the key: 16 hex digits of an HMAC under it."""
    return hmac.new(key, b"throughline key fingerprint", hashlib.sha256).hexdigest()[:16]


def require_same_key(found: str, expected: str, place: str) -> None:
    """Raise InputError if the fingerprint of the key differs from the one kept at `place`."""
    if found != expected:
        raise InputError(
            f"the pseudonym key has the fingerprint {found}, but {place} was made with {expected}: restore that "
            f"key from its backup; for a new key, land the logs in a new THROUGHLINE_HOME"
        )


def require_new(settings: Settings) -> None:
    """Raise InputError if a home without a key holds data that one was used for."""
    kept = settings.home / FINGERPRINT_FILE
    used = [kept] if kept.is_file() else []
    used += [folder for name in ("landing", "warehouse") if any((folder := settings.home / name).glob("*"))]
    if used:
        raise InputError(
            f"{settings.home / KEY_FILE} is missing, but {used[0]} exists: a new key would find no stored user "
            f"again: restore the key from its backup, or use a new THROUGHLINE_HOME"
        )


def user_space(sources: Mapping[str, Source], name: str | None) -> str:
    """Return the id space of users of the named source; without a name, that of all sources.

    Raises InputError if there is no such source, or if no source is named and the sources have several spaces.
    """
    spaces = {source.user_space for source in sources.values()}
    if name is not None and name in sources:
        return sources[name].user_space
    landed = ", ".join(sources) or "none"
    if name:
        raise InputError(f"no source {name!r} has landed: landed are {landed}")
    if len(spaces) != 1:
        raise InputError(
            f"the sources have {len(spaces)} id spaces of users ({', '.join(sorted(spaces)) or 'none'}), so an id "
            f"alone names no user: name the source with --source, one of {landed}"
        )
    return spaces.pop()


def pseudonym(space: str, source_id: str, key: bytes) -> str:
    """Return hex HMAC-SHA256 of the UTF-8 text of id space, SEPARATOR and id under `key`."""
    return hmac.new(key, f"{space}{SEPARATOR}{source_id}".encode(), hashlib.sha256).hexdigest()
