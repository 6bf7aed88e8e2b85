"""The folder of erasures in a home, and whether one has begun and not ended. Imports no Spark."""

from pathlib import Path

from pipeline.settings import Settings

FOLDER = "erasure"
JOURNAL = "journal.json"  # is there while an erasure runs


def erasure_folder(settings: Settings) -> Path:
    return settings.home / FOLDER


def is_unfinished(settings: Settings) -> bool:
    """Return whether an erasure has begun and not ended."""
    return (erasure_folder(settings) / JOURNAL).is_file()
