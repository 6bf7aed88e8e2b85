"""Erasure of people: from the landing zone, the tables, their old snapshots and the files of the home.

This module imports no Spark.
"""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.settings import Settings
from throughline.stores import make_folder, move

FOLDER = "erasure"
JOURNAL = "journal.json"  # is there while an erasure runs
NOTES = "changed.jsonl"  # of one machine, see `pipeline.erasure.journal`


def erasure_folder(settings: Settings) -> Path:
    """Return the folder of tombstones and of the journal: in the home, or in a landing zone that machines share.

    What an older version, or a home without a landing zone of its own, left in the home is moved there.

    Raises InputError if both places hold a file of one name.
    """
    in_home = settings.home / FOLDER
    if not settings.landing:
        return in_home
    shared = settings.landing_folder / f".{FOLDER}"
    for file in [one for one in in_home.glob("*") if one.name != NOTES]:
        if (shared / file.name).is_file():
            raise InputError(
                f"{file} and {shared / file.name} exist: two homes that now share a landing zone erased people before; "
                f"keep the folder {shared}, move {in_home} away, and repeat the erasures of this home"
            )
        make_folder(shared)
        move(file, shared / file.name)
    return shared


def is_unfinished(settings: Settings) -> bool:
    """Return whether an erasure has begun and not ended."""
    return (erasure_folder(settings) / JOURNAL).is_file()
