"""Opens a DuckDB connection to the release of a home; `throughline.connect` is its public name."""

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipeline.analyst.query import open_connection, tables_of
from pipeline.analyst.release import newest_release, open_catalog
from pipeline.days import parse_day
from pipeline.errors import InputError
from pipeline.local.catalog import start_own_catalog
from pipeline.local.spark_config import catalog_secrets, conf_folder, pyiceberg_properties
from pipeline.settings import MIN_AUDIENCE, load_settings

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


def connect(home: str | Path | None = None, as_of: date | str | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection to the release of `as_of` in a home. See `throughline.connect`."""
    settings = load_settings(**({"home": Path(home).expanduser().resolve()} if home is not None else {}))
    if settings.uses_local_catalog:
        if not (conf_folder(settings) / ".pyiceberg.yaml").is_file():
            raise InputError(
                f"no tables in {settings.home}: expected the home of an installation; give its folder as home= or in "
                f"THROUGHLINE_HOME, or make one by `throughline demo`"
            )
        start_own_catalog(settings)
    catalog = open_catalog({**pyiceberg_properties(settings), **catalog_secrets(settings)})
    day = parse_day(as_of) if isinstance(as_of, str) else as_of
    return connect_to_catalog(catalog, day, settings.min_audience)


def connect_to_catalog(
    catalog: "Catalog", as_of: date | None = None, min_audience: int = MIN_AUDIENCE
) -> duckdb.DuckDBPyConnection:
    """Return a connection to a release: a view per table and per file of `sql/views`. No data file is read yet.

    min_audience: the views show no figure of fewer users.
    """
    with closing(catalog):  # it connects again when it must; an idle notebook holds no connection to its database
        release = newest_release(catalog, as_of)
        return open_connection(release.tables, tables_of(catalog, release), min_audience)
