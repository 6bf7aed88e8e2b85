"""The warehouse lease: one night writes at a time (DESIGN.md 5.5.8).

A row in PostgreSQL names the run that holds it. Every step of the run renews it while it works; a lease that has
been silent for too long is taken over. The clock is the server's, so machines need not agree on the time.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import psycopg

from pipeline.errors import ThroughlineError
from pipeline.local import postgres
from pipeline.settings import Settings

CREATE = """
CREATE TABLE IF NOT EXISTS throughline_lease (
    only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    run_id TEXT NOT NULL, day DATE NOT NULL, heartbeat_at TIMESTAMPTZ NOT NULL
)"""
TAKE = """
INSERT INTO throughline_lease (run_id, day, heartbeat_at) VALUES (%(run_id)s, %(day)s, now())
ON CONFLICT (only_row) DO UPDATE SET run_id = excluded.run_id, day = excluded.day, heartbeat_at = now()
WHERE throughline_lease.run_id = excluded.run_id
   OR throughline_lease.heartbeat_at < now() - make_interval(secs => %(silence)s)
RETURNING run_id"""
RENEW = "UPDATE throughline_lease SET heartbeat_at = now() WHERE run_id = %(run_id)s RETURNING run_id"
FREE = "DELETE FROM throughline_lease WHERE run_id = %(run_id)s"
HOLDER = "SELECT run_id, day, now() - heartbeat_at FROM throughline_lease"


@dataclass(frozen=True)
class Holder:
    """Who has the lease."""

    run_id: str
    day: date
    silent_for: timedelta

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.day}, last heard of {self.silent_for.total_seconds():.0f} s ago"


class Lease:
    """The lease, seen from one run."""

    def __init__(self, settings: Settings, run_id: str, day: date) -> None:
        self.run_id = run_id
        self.day = day
        self._settings = settings
        self._values = {"run_id": run_id, "day": day, "silence": settings.lease_silence_seconds}
        self._url = settings.lease_url.get_secret_value() if settings.lease_url else postgres.url(settings)
        self._execute(CREATE)

    def take(self, poll_seconds: float = 2.0) -> None:
        """Take the lease, or keep it; wait while another run holds it, and say for whom.

        Raises ThroughlineError if the other run does not end within the set time.
        """
        until = time.monotonic() + self._settings.lease_wait_seconds
        is_told = False
        while holder := self.try_take():
            if time.monotonic() >= until:
                raise ThroughlineError(
                    f"the warehouse is still leased to {holder}, after waiting {self._settings.lease_wait_seconds} s: "
                    f"try again when it has ended; a dead run frees it after {self._settings.lease_silence_seconds} s"
                )
            if not is_told:
                print(f"waiting for {holder}: one night writes at a time", flush=True)
                is_told = True
            time.sleep(poll_seconds)

    def try_take(self) -> Holder | None:
        """Take the lease, or keep it, and return nothing; or return who has it."""
        while not self._execute(TAKE):
            if row := self._execute(HOLDER):
                return Holder(*row)
        return None

    def free(self) -> None:
        """Give the lease back, if this run has it."""
        self._execute(FREE)

    @contextmanager
    def renewed(self, every_seconds: float = 20.0) -> Iterator[None]:
        """Renew the lease in the background while the block runs."""
        is_done = threading.Event()

        def renew() -> None:
            while not is_done.wait(every_seconds):
                try:
                    self._execute(RENEW)
                except psycopg.Error:
                    continue  # the server may be back by the next beat; silence for too long loses the lease

        thread = threading.Thread(target=renew, daemon=True, name="lease")
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()

    def require_held(self) -> None:
        """Raise ThroughlineError if the lease went to another run, which may have dropped this run's work."""
        if not self._execute(RENEW):
            raise ThroughlineError(
                f"run {self.run_id} lost the warehouse lease to another run: run the night again from `clean`"
            )

    def _execute(self, statement: str) -> tuple[Any, ...] | None:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement, self._values)
            return cursor.fetchone() if cursor.description else None
