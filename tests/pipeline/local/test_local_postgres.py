"""The local PostgreSQL: the rights of its roles, and a server that got SIGTERM."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from pipeline.local import catalog, postgres
from pipeline.local.catalog import READER, READER_CONNECTIONS, WRITER, start_own_catalog
from pipeline.settings import Settings

ROW = "INSERT INTO iceberg_tables VALUES ('throughline', 'interest', %s, 'file:///t', NULL, 'TABLE')"


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """Settings of a home with a running PostgreSQL, which is not among pytest's folders as in `test_lease`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with TemporaryDirectory(prefix="throughline-tests-", ignore_cleanup_errors=True) as folder:
        made = Settings(home=Path(folder) / "throughline", postgres_port=port)
        start_own_catalog(made)
        yield made
        postgres.stop(made)


def connect(settings: Settings, role: str) -> psycopg.Connection:
    user, password = catalog.login(settings, role)
    place = f"{postgres.HOST}:{settings.postgres_port}/{postgres.CATALOG_DATABASE}"
    return psycopg.connect(f"postgresql://{user}:{password}@{place}", autocommit=True)


def test_a_writer_commits_and_a_reader_only_reads(settings: Settings) -> None:
    with connect(settings, WRITER) as writer, connect(settings, READER) as reader:
        writer.execute(ROW, ["events"])
        assert reader.execute("SELECT table_name FROM iceberg_tables").fetchall() == [("events",)]
        for statement in ("DELETE FROM iceberg_tables", "CREATE TABLE other (id INT)", "SELECT * FROM pg_authid"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)
        for statement in ("DROP TABLE iceberg_tables", "CREATE ROLE other", "COPY pg_roles TO '/tmp/roles'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                writer.execute(statement)


def test_readers_leave_connections_to_those_who_write(settings: Settings) -> None:
    with ExitStack() as connected:
        for _ in range(READER_CONNECTIONS):
            connected.enter_context(connect(settings, READER))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            connect(settings, READER)
        for _ in range(60):  # nights one after the other hold 20, Airflow 5
            connected.enter_context(connect(settings, WRITER))


def test_roles_are_made_once_and_made_again_when_a_password_is_lost(settings: Settings) -> None:
    before = catalog.login(settings, READER)
    catalog.make_roles(settings)
    assert catalog.login(settings, READER) == before
    postgres.password_file(settings).with_name(f"{READER}.password").unlink()
    catalog.make_roles(settings)
    assert catalog.login(settings, READER) != before
    assert connect(settings, READER).execute("SELECT 1").fetchone() == (1,)


def test_passwords_are_asked_for_by_scram_alone(settings: Settings) -> None:
    rules = (settings.home / "postgres" / "data" / "pg_hba.conf").read_text().splitlines()
    methods = {rule.split()[-1] for rule in rules if rule.strip() and not rule.startswith("#")}
    assert methods == {"scram-sha-256"}
    assert "require_auth=scram-sha-256" in postgres.url(settings)


def test_a_server_that_waits_for_its_connections_to_end_is_started_again(settings: Settings) -> None:
    """After a SIGTERM it takes no connections, and would wait for those of the engine for ever."""
    record = settings.home / "postgres" / "data" / "postmaster.pid"
    pid = int(record.read_text().split()[0])
    with psycopg.connect(postgres.url(settings)):
        os.kill(pid, signal.SIGTERM)
        while postgres.is_running(settings):
            pass
        postgres.start(settings)
        assert postgres.is_running(settings)
        assert int(record.read_text().split()[0]) != pid
