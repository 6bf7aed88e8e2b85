"""The stored form of a source's user id, outside Spark; `pipeline/pseudonyms.py` computes the same inside."""

import hashlib
import hmac


def pseudonym(source_id: str, key: bytes) -> str:
    """Return hex HMAC-SHA256 of the UTF-8 text of `source_id` under `key`."""
    return hmac.new(key, source_id.encode(), hashlib.sha256).hexdigest()
