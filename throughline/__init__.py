"""The public Python API: `throughline.connect()` opens the released tables and views in DuckDB.

import throughline

connection = throughline.connect()
connection.sql("SELECT tag, user_count FROM tag_audience ORDER BY user_count DESC LIMIT 10").df()
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

__all__ = ["connect"]


def connect(home: str | Path | None = None, as_of: date | str | None = None) -> "duckdb.DuckDBPyConnection":
    """Return a DuckDB connection in memory whose views are the released tables and the views of `sql/views`.

    home: the folder of all state; by default that of THROUGHLINE_HOME, else `.throughline` in the checkout. Variables
    of the environment override its settings.toml, as for commands.
    as_of: the last release of this day, else of the newest day before; by default the release that was published last.

    The release is chosen once: a later publication does not change what the connection shows. A query reads the data
    files of the tables that it names, and of these only the columns and row groups that it needs; the connection itself
    reads no data file. Times are UTC. SQL cannot change the warehouse, and it can reach no other files and no
    network. A `cursor()` of it finds tables and views as `interest.<name>`.

    It starts the local PostgreSQL if the catalog is there and the server is down. It never starts Spark.

    Raises pipeline.errors.ThroughlineError, in one line that says what to do, if the home has no tables, if nothing is
    published as of that day, or if the settings are wrong.
    """
    # Imported here: PyIceberg takes a second, and `import throughline` should take none.
    from pipeline.analyst.connect import connect as connect_to_release

    return connect_to_release(home, as_of)
