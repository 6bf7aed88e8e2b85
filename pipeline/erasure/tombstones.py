"""Tombstones: keyed hashes of erased pseudonyms, by which later lines of these people are refused.

    erasure/tombstone.key   the key, which is used for nothing else, mode 600
    erasure/tombstones      one a line: `user` or `device`, and hex HMAC-SHA256 of the pseudonym

Without the key a tombstone says nothing about a pseudonym, and without the pseudonym key nothing about an id.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.erasure import erasure_folder
from pipeline.errors import InputError
from pipeline.files import write_private
from pipeline.settings import Settings
from pipeline.sources.schema import ERASED
from pipeline.transforms.pseudonymize import with_hmacs
from pipeline.transforms.rows import frame_of_rows

USER, DEVICE = "user", "device"
REFUSED = "the person was erased; the text is removed from the landing zone"


def tombstone_key(settings: Settings) -> bytes:
    """Return the key of the tombstones; the first erasure of a home makes it.

    Raises InputError if the key is missing and tombstones exist, which no other key can match.
    """
    folder = erasure_folder(settings)
    file = folder / "tombstone.key"
    if not file.is_file():
        if (folder / "tombstones").is_file():
            raise InputError(f"{file} is missing, but tombstones exist: restore the key from its backup")
        write_private(file, secrets.token_hex(32), only_if_missing=True)
    return file.read_text(encoding="utf-8").strip().encode()


def tombstones(settings: Settings) -> list[tuple[str, str]]:
    """Return kind and hash of each tombstone."""
    file = erasure_folder(settings) / "tombstones"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [(kind, digest) for kind, digest in (line.split(" ") for line in lines)]


def bury(settings: Settings, users: Collection[str], devices: Collection[str]) -> None:
    """Add tombstones of pseudonyms. users: lines of this user are refused. devices: lines that name this device are,
    whoever was logged in on it.
    """
    key = tombstone_key(settings)
    new = {(kind, hmac.new(key, one.encode(), hashlib.sha256).hexdigest())
           for kind, those in ((USER, users), (DEVICE, devices)) for one in those}  # fmt: skip
    lines = sorted(f"{kind} {digest}" for kind, digest in new | set(tombstones(settings)))
    write_private(erasure_folder(settings) / "tombstones", "\n".join(lines) + "\n")


def with_erased(validated: DataFrame, settings: Settings) -> DataFrame:
    """Reject the events of erased people, whatever reason they had; `detail` then says nothing of the line.

    validated: one row per event, under pseudonyms; needs `user_id`, `device_id`, `reason`, `detail`.
    """
    buried = tombstones(settings)
    if not buried:
        return validated
    spark = validated.sparkSession
    hashed = with_hmacs(
        validated, tombstone_key(settings), {"user_hash": F.col("user_id"), "device_hash": F.col("device_id")}
    )
    for kind in (USER, DEVICE):
        hashes = [(digest,) for one, digest in buried if one == kind]
        of_kind = frame_of_rows(spark, hashes, f"{kind}_hash string").withColumn(f"{kind}_is_erased", F.lit(True))
        hashed = hashed.join(F.broadcast(of_kind), f"{kind}_hash", "left")
    is_erased = F.coalesce("user_is_erased", "device_is_erased", F.lit(False))
    refused = {
        "reason": F.when(is_erased, ERASED).otherwise(F.col("reason")),
        "detail": F.when(is_erased, REFUSED).otherwise(F.col("detail")),
    }
    return hashed.withColumns(refused).drop(
        *[f"{kind}_{what}" for kind in (USER, DEVICE) for what in ("hash", "is_erased")]
    )
