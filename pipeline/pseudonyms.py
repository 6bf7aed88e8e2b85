"""The stored form of a source's user id, and the key that makes it.

`pipeline/transforms/pseudonymize.py` computes the same form in Spark.
"""

import hashlib
import hmac
import secrets

from pipeline.files import write_private
from pipeline.settings import Settings


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


def pseudonym(source_id: str, key: bytes) -> str:
    """Return hex HMAC-SHA256 of the UTF-8 text of `source_id` under `key`."""
    return hmac.new(key, source_id.encode(), hashlib.sha256).hexdigest()
