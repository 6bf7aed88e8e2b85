"""The key under which user ids become pseudonyms.

The stored form of a source's user id, outside Spark; `pipeline/transforms/pseudonymize.py` computes the same inside.
"""

import hashlib
import hmac
import secrets

from pipeline.files import write_private
from pipeline.settings import Settings


def pseudonym_key(settings: Settings) -> bytes:
    """Return the key from the settings, else the one of this home, which is made once and kept mode 600.

    Losing it cuts every stored profile off from its user, so back it up with the warehouse.
    """
    if settings.pseudonym_key:
        return settings.pseudonym_key.get_secret_value().encode()
    file = settings.home / "pseudonym.key"
    if not file.is_file():
        write_private(file, secrets.token_hex(32))
    return file.read_text().strip().encode()


def pseudonym(source_id: str, key: bytes) -> str:
    """Return hex HMAC-SHA256 of the UTF-8 text of `source_id` under `key`."""
    return hmac.new(key, source_id.encode(), hashlib.sha256).hexdigest()
