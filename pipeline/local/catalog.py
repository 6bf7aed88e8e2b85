"""The rows of the local Iceberg catalog: where the metadata of each table lies, as absolute locations."""

from pathlib import Path

import psycopg

from pipeline.errors import InputError
from pipeline.local import postgres
from pipeline.local.catalog_roles import make_roles
from pipeline.settings import Settings

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
