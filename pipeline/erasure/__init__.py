"""Erasure of people: from the landing zone, the tables, their old snapshots and the files of the home.

This module imports no Spark.
"""

from pathlib import Path

from pipeline.settings import Settings

FOLDER = "erasure"
JOURNAL = "journal.json"  # is there while an erasure runs


def erasure_folder(settings: Settings) -> Path:
    return settings.home / FOLDER


def is_unfinished(settings: Settings) -> bool:
    """Return whether an erasure has begun and not ended."""
    return (erasure_folder(settings) / JOURNAL).is_file()
