"""The locks of the landing zone: one process at a time lands or changes files of a source. Imports no Spark."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from pipeline.files import locked
from pipeline.settings import Settings


def source_locked(settings: Settings, name: str) -> AbstractContextManager[None]:
    """Hold the lock of a source during the block.

    Raises ThroughlineError if another process still holds it after `lease_wait_seconds`.
    """
    lock = settings.home / "staging" / f"{name}.lock"
    return locked(lock, f"landing files of {name}", settings.lease_wait_seconds)


@contextmanager
def landing_stopped(settings: Settings, names: Iterable[str]) -> Iterator[None]:
    """Hold the locks of these sources, so that none of their files land during the block."""
    with ExitStack() as locks:
        for name in sorted(names):
            locks.enter_context(source_locked(settings, name))
        yield
