"""The local Iceberg catalog: where the metadata of each table lies, and the roles that Spark and readers have in it.

Spark writes the tables of the catalog, readers only read them. The superuser `throughline` keeps the lease and
Airflow's database; neither Spark nor a reader has its password.
"""

import secrets
from pathlib import Path

import psycopg
from psycopg import sql

from pipeline.errors import InputError, UsageError
from pipeline.files import write_private
from pipeline.local import postgres
from pipeline.settings import Settings

WRITER, READER = "throughline_writer", "throughline_reader"
RIGHTS = {WRITER: "SELECT, INSERT, UPDATE, DELETE", READER: "SELECT"}
READER_CONNECTIONS = 120  # of the server's 200; the others are for Spark and Airflow
# As Iceberg's JDBC catalog makes them (schema version V1). They belong to the superuser.
TABLES = """
CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000), PRIMARY KEY (catalog_name, namespace, property_key))
"""


def login(settings: Settings, role: str) -> tuple[str, str]:
    """Return user and password of a role. Raises UsageError if this home has no local PostgreSQL yet."""
    file = _password_file(settings, role)
    if not file.is_file():
        raise UsageError(f"no login {role} in {file.parent}: run `throughline setup`, which makes it")
    return role, file.read_text(encoding="utf-8").strip()


def make_roles(settings: Settings) -> None:
    """Make the roles and the tables of the catalog where they are missing. The server must be up."""
    if _are_made(settings):
        return
    passwords = {role: secrets.token_urlsafe(24) for role in RIGHTS}
    with psycopg.connect(postgres.url(settings), connect_timeout=10) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")  # of two first commands, one waits until this one disconnects
        if _are_made(settings):
            return
        connection.execute(TABLES)
        for role, rights in RIGHTS.items():
            name = sql.Identifier(role)
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(passwords[role])))
            for table in ("iceberg_tables", "iceberg_namespace_properties"):
                connection.execute(f"GRANT {rights} ON {table} TO {role}")
        connection.execute(f"ALTER ROLE {READER} CONNECTION LIMIT {READER_CONNECTIONS}")
        connection.commit()  # before the files, which say that the roles are there
        for role, password in passwords.items():
            write_private(_password_file(settings, role), password)


def _are_made(settings: Settings) -> bool:
    return all(_password_file(settings, role).is_file() for role in RIGHTS)


def _password_file(settings: Settings, role: str) -> Path:
    return postgres.password_file(settings).with_name(f"{role}.password")


SCHEMES = ("file://", "file:")  # both are written


def table_locations(settings: Settings) -> dict[str, str]:
    """Return the location of the newest metadata of each table, by name; views are left out.

    The local PostgreSQL must be up.
    """
    with psycopg.connect(postgres.url(settings), connect_timeout=10) as connection:
        found = connection.execute("SELECT to_regclass('iceberg_tables') IS NOT NULL").fetchone()
        if not found or not found[0]:
            return {}
        rows = connection.execute(
            "SELECT table_name, metadata_location FROM iceberg_tables "
            "WHERE coalesce(iceberg_type, 'TABLE') = 'TABLE' ORDER BY table_name"
        ).fetchall()
    return dict(rows)


def local_path(location: str) -> Path:
    """Return the file of a location such as file:/folder/file."""
    for scheme in SCHEMES:
        location = location.removeprefix(scheme)
    return Path(location)


def start_own_catalog(settings: Settings) -> None:
    """Start the local PostgreSQL, and check that the tables of its catalog are those of this home.

    Raises InputError if the home was moved or copied: it would read and write the files of another one.
    """
    require_own_server(settings)
    postgres.start(settings)
    make_roles(settings)
    option = "spark.sql.catalog.throughline.warehouse"
    warehouse = local_path(settings.spark_options.get(option, str(settings.home / "warehouse")))
    for location in table_locations(settings).values():
        file = local_path(location)
        if not file.is_relative_to(warehouse):
            folders = [folder.parent for folder in file.parents if folder.name == "warehouse"]
            raise InputError(_moved(settings, folders[0] if folders else file.parent))


def require_own_server(settings: Settings) -> None:
    """Raise InputError if the server of this home was last started in another folder, where it may still run."""
    last = postgres.last_folder(settings)
    if last and not last.is_relative_to(settings.home):
        raise InputError(_moved(settings, last.parents[1]))


def _moved(settings: Settings, original: Path) -> str:
    return (
        f"{settings.home} was moved or copied from {original}, and its catalog names the files there: move it back. "
        f"For a home elsewhere: `throughline backup --to FOLDER` in {original}, then `throughline restore FOLDER "
        f"--home NEW`"
    )
