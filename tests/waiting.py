"""Waiting for what another process does, with an end."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], object], seconds: float, every: float = 0.5) -> None:
    """Return when `is_so` returns something true; fail if it does not within so many seconds."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"not so after {seconds:.0f} s"
        time.sleep(every)
