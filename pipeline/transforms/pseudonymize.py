"""Replace user and device ids by pseudonyms, and shorten addresses, before anything is stored, without a Python UDF."""

import hashlib
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline.pseudonyms import SEPARATOR
from pipeline.transforms.rows import frame_of_rows

BLOCK_BYTES = 64  # of SHA-256


def pseudonymize(events: DataFrame, key: bytes) -> DataFrame:
    """Replace `user_id`, `device_id` and `session_id` by pseudonyms: hex HMAC-SHA256 of id space and id under `key`.

    An event before log-in gets the pseudonym of its device as `user_id`. `session_id` becomes `session_key`.
    The key is data, a frame of one row: a literal would appear in query plans and logs.

    events: one row per event; needs `user_space`, `user_id`, `device_id`, `session_id`.
    """
    ids = {
        "user_id": F.coalesce("user_id", "device_id"),
        "device_id": F.col("device_id"),
        "session_key": F.col("session_id"),
    }
    texts = {name: F.concat("user_space", F.lit(SEPARATOR), one) for name, one in ids.items()}
    return with_hmacs(events, key, texts).drop("session_id")


def with_hmacs(rows: DataFrame, key: bytes, texts: Mapping[str, Column]) -> DataFrame:
    """Add columns with the hex HMAC-SHA256 of texts under `key`; null for null."""
    pads = frame_of_rows(rows.sparkSession, [_pads(key)], "inner_pad binary, outer_pad binary")
    hashed = rows.crossJoin(F.broadcast(pads)).withColumns({name: _hmac(text) for name, text in texts.items()})
    return hashed.drop("inner_pad", "outer_pad")


def kept_address(address: Column, kept: Column) -> Column:
    """Return what events keep of an address: `full`, `path` (no query, fragment, nor user before the host) or `none`.

    Queries hold what people typed, session ids, addresses of mails and tokens.
    """
    path = F.regexp_replace(
        F.regexp_replace(address, r"(?s)[?#].*\z", ""), r"^([A-Za-z][A-Za-z0-9+.-]*:)?//[^/@]*@", "$1//"
    )
    return F.when(kept == "full", address).when(kept == "path", F.nullif(path, F.lit("")))


def _hmac(text: Column) -> Column:
    """Return the HMAC of RFC 2104: H(outer || H(inner || text))."""
    inner_hash = F.unhex(F.sha2(F.concat("inner_pad", F.encode(text, "UTF-8")), 256))
    return F.sha2(F.concat("outer_pad", inner_hash), 256)


def _pads(key: bytes) -> tuple[bytes, bytes]:
    block = (hashlib.sha256(key).digest() if len(key) > BLOCK_BYTES else key).ljust(BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
