"""The locks of the landing zone: one process at a time lands or changes files of a source. Imports no Spark."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.files import locked
from pipeline.settings import Settings


@contextmanager
def source_locked(settings: Settings, name: str) -> Iterator[None]:
    """Hold the lock of a source during the block, while others may land files of other sources.

    Raises ThroughlineError if another process still holds it after `lease_wait_seconds`.
    """
    what, seconds = f"landing files of {name}", settings.lease_wait_seconds
    of_all, own = settings.home / "landing.lock", settings.home / "staging" / f"{name}.lock"
    with locked(of_all, what, seconds, is_shared=True), locked(own, what, seconds):
        yield


@contextmanager
def landing_stopped(settings: Settings) -> Iterator[None]:
    """Let no file land during the block, also none of a source that has none yet.

    Raises ThroughlineError as `source_locked` does.
    """
    with locked(settings.home / "landing.lock", "landing files", settings.lease_wait_seconds):
        yield
