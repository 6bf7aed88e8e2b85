"""The warehouse lease: one run writes at a time.

A row in PostgreSQL names the run that holds the lease. Each step of the run renews it while it works. A lease that was
not renewed for `lease_silence_seconds` may be taken over. Two runs of one machine measure this silence in seconds since
its start, which no change of the clock alters; others by the server's clock.

A command of the terminal has a token, which its steps inherit. So two commands with one run id exclude each other, and
the lease of a command that died on this machine is taken at once. Runs of Airflow have no token: their lease outlives
each task.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from pipeline.errors import ThroughlineError
from pipeline.local import postgres
from pipeline.local.processes import has_ended, machine_name, process_token, seconds_since_start
from pipeline.settings import Settings

CREATE = """
CREATE TABLE IF NOT EXISTS throughline_lease (
    only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    run_id TEXT NOT NULL, day DATE NOT NULL, heartbeat_at TIMESTAMPTZ NOT NULL
);
ALTER TABLE throughline_lease ADD COLUMN IF NOT EXISTS token TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS machine TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS heartbeat_seconds DOUBLE PRECISION NOT NULL DEFAULT 0"""
# A heartbeat far ahead of the clock is of a clock that was set back since.
SILENT_SECONDS = """
CASE throughline_lease.machine WHEN %(machine)s THEN %(seconds)s - throughline_lease.heartbeat_seconds
ELSE abs(extract(epoch FROM now() - throughline_lease.heartbeat_at)) END"""
TAKE = f"""
INSERT INTO throughline_lease (run_id, day, token, heartbeat_at, machine, heartbeat_seconds)
VALUES (%(run_id)s, %(day)s, %(token)s, now(), %(machine)s, %(seconds)s)
ON CONFLICT (only_row) DO UPDATE
SET run_id = excluded.run_id, day = excluded.day, token = excluded.token, heartbeat_at = now(),
    machine = excluded.machine, heartbeat_seconds = excluded.heartbeat_seconds
WHERE (throughline_lease.run_id = excluded.run_id AND throughline_lease.token IN (excluded.token, ''))
   OR throughline_lease.token = %(ended)s
   OR {SILENT_SECONDS} > %(silence)s
RETURNING run_id"""
MINE = "run_id = %(run_id)s AND token = %(token)s"
RENEW = f"""
UPDATE throughline_lease SET heartbeat_at = now(), machine = %(machine)s, heartbeat_seconds = %(seconds)s
WHERE {MINE} RETURNING run_id"""
FREE = f"DELETE FROM throughline_lease WHERE {MINE}"
LEAVE = f"UPDATE throughline_lease SET token = '' WHERE {MINE}"
HOLDER = f"SELECT run_id, day, ({SILENT_SECONDS})::float8, token FROM throughline_lease"
TOKEN_VARIABLE = "THROUGHLINE_LEASE_TOKEN"  # of this process and those that it starts


@contextmanager
def with_token() -> Iterator[None]:
    """Give this process and the steps that it starts one token for the lease, during the block."""
    if TOKEN_VARIABLE in os.environ:
        yield
        return
    os.environ[TOKEN_VARIABLE] = process_token()
    try:
        yield
    finally:
        del os.environ[TOKEN_VARIABLE]


@dataclass(frozen=True)
class Holder:
    """The run that holds the lease."""

    run_id: str
    day: date
    silent_seconds: float
    token: str = ""

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.day}, last renewed {self.silent_seconds:.0f} s ago"


class Lease:
    """The lease, from the point of view of one run."""

    def __init__(self, settings: Settings, run_id: str, day: date) -> None:
        self.run_id = run_id
        self.day = day
        self._settings = settings
        self._values = {
            "run_id": run_id, "day": day, "token": os.environ.get(TOKEN_VARIABLE, ""),
            "silence": settings.lease_silence_seconds, "ended": None, "machine": machine_name(),
        }  # fmt: skip
        self._url = settings.lease_url.get_secret_value() if settings.lease_url else postgres.url(settings)
        self._execute(CREATE)

    def take(self, poll_seconds: float = 2.0) -> None:
        """Take the lease, or keep it. While another run holds it, print which one and wait.

        Raises ThroughlineError if the other run still holds it after `lease_wait_seconds`.
        """
        until = time.monotonic() + self._settings.lease_wait_seconds
        has_printed = False
        while holder := self.try_take():
            if time.monotonic() >= until:
                raise ThroughlineError(
                    f"the warehouse is still leased to {holder}, after waiting {self._settings.lease_wait_seconds} s: "
                    f"try again when it has ended; a dead run frees it after {self._settings.lease_silence_seconds} s"
                )
            if not has_printed:
                print(f"waiting for {holder}: one run writes at a time", flush=True)
                has_printed = True
            time.sleep(poll_seconds)

    def try_take(self) -> Holder | None:
        """Take the lease, or keep it, and return None; or return its holder if that is another run."""
        while not self._execute(TAKE):
            if row := self._execute(HOLDER):
                holder = Holder(*row)
                if not has_ended(holder.token) or self._values["ended"] == holder.token:
                    return holder
                self._values["ended"] = holder.token
        return None

    def free(self) -> None:
        """Free the lease, if this run holds it."""
        self._execute(FREE)

    def leave_to_run(self) -> None:
        """Keep the lease for the next command of this run: it is not that of a dead process when this one ends."""
        self._execute(LEAVE)

    @contextmanager
    def renewed(self, every_seconds: float = 20.0) -> Iterator[None]:
        """Renew the lease in the background while the block runs."""
        is_done = threading.Event()

        def renew() -> None:
            while not is_done.wait(every_seconds):
                try:
                    self._execute(RENEW)
                except psycopg.Error:
                    continue  # the server may be back at the next attempt; after too long a silence the lease is lost

        thread = threading.Thread(target=renew, daemon=True, name="lease")
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()

    def require_held(self) -> None:
        """Raise ThroughlineError if another run took the lease, since it may have dropped this run's branches."""
        if not self._execute(RENEW):
            raise ThroughlineError(f"run {self.run_id} lost the warehouse lease to another run: run again from `clean`")

    def _execute(self, statement: str) -> tuple[Any, ...] | None:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=10) as connection:
            values = {**self._values, "seconds": seconds_since_start()}
            cursor = connection.execute(statement, None if statement is CREATE else values)
            return cursor.fetchone() if cursor.description else None


def open_lease(settings: Settings, run_id: str, day: date) -> Lease:
    """Return the lease as a run sees it; start the local PostgreSQL where that keeps it."""
    if settings.needs_local_postgres:
        postgres.start(settings)
    return Lease(settings, run_id, day)


@contextmanager
def lease_held(settings: Settings, run_id: str, day: date) -> Iterator[Lease]:
    """Wait for the lease, and hold it during the block, for a command that is no night.

    Where the lease is in the local PostgreSQL, that is started. Raises ThroughlineError as `Lease.take` does.
    """
    with with_token():
        lease = open_lease(settings, run_id, day)
        lease.take()
        try:
            with lease.renewed():
                yield lease
        finally:
            lease.free()
