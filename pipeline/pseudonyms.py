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

SEPARATOR = "\x1f"  # the names of spaces do not contain it


def pseudonym_key(settings: Settings) -> bytes:
    """Return the key of the settings, else that of this home. The first call makes the latter, mode 600.

    Back it up with the warehouse: without the key, no stored profile can be matched to its user.
    """
    if settings.pseudonym_key:
        return settings.pseudonym_key.get_secret_value().encode()
    file = settings.home / "pseudonym.key"
    if not file.is_file():
        write_private(file, secrets.token_hex(32))
    return file.read_text().strip().encode()


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
