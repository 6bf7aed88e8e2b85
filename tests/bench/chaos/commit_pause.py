"""Stops a commit of Iceberg at a chosen place: a trigger in the catalog's own PostgreSQL waits for a lock."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

LOCK = 7_340_221
POLL_SECONDS = 0.02
INSTALL = f"""
CREATE SCHEMA IF NOT EXISTS chaos;
CREATE SEQUENCE IF NOT EXISTS chaos.commits;
CREATE TABLE IF NOT EXISTS chaos.place (commit_number BIGINT NOT NULL);
CREATE OR REPLACE FUNCTION chaos.pause() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF nextval('chaos.commits') = (SELECT commit_number FROM chaos.place) THEN
        PERFORM set_config('application_name', NEW.table_name, false);
        PERFORM pg_advisory_xact_lock({LOCK});
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER chaos_pause BEFORE UPDATE ON iceberg_tables FOR EACH ROW EXECUTE FUNCTION chaos.pause()
"""
WAITING = f"""
SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted"""


class CommitPause:
    """A commit that waits until it is let go or dropped."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def wait(self, is_expected: Callable[[], bool]) -> str | None:
        """Wait until the commit is reached; return the name of its table, or None once it is expected no more."""
        while is_expected():
            if found := self._connection.execute(WAITING).fetchone():
                return str(found[1])
            time.sleep(POLL_SECONDS)
        return None

    def let_go(self) -> None:
        """Let the commit happen, whether or not the process that asked for it still lives."""
        with suppress(psycopg.OperationalError):  # the server was killed
            self._connection.execute("SELECT pg_advisory_unlock(%s)", [LOCK])

    def drop(self) -> None:
        """End the connection that commits, so that nothing was committed."""
        with suppress(psycopg.OperationalError):
            for pid, _ in self._connection.execute(WAITING).fetchall():
                self._connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        self.let_go()


@contextmanager
def pause_before(url: str, commit_number: int) -> Iterator[CommitPause]:
    """Stop the commit of this number, counted from now on, at most for the block. url: of the catalog's database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(INSTALL)
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        connection.execute("SELECT setval('chaos.commits', 1, false)")
        connection.execute("DELETE FROM chaos.place")
        connection.execute("INSERT INTO chaos.place VALUES (%s)", [commit_number])
        pause = CommitPause(connection)
        try:
            yield pause
        finally:
            pause.let_go()
            with suppress(psycopg.OperationalError):
                connection.execute("DELETE FROM chaos.place")
