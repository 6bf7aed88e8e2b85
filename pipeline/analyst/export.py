"""Writes an audience or all newest profiles to a Parquet or CSV file, for tools downstream."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.analyst.render import as_csv
from pipeline.errors import InputError, UsageError
from pipeline.escape import printable
from pipeline.files import replaced_whole
from pipeline.settings import MIN_AUDIENCE

SUFFIXES = (".parquet", ".csv")
ROWS_AT_ONCE = 10_000
AUDIENCE = """
    SELECT user_id, tag, affinity, rank, trend, is_new, as_of, horizon_days
    FROM user_interests WHERE tag = ? AND affinity >= ? ORDER BY affinity DESC, user_id
"""
PROFILES = "SELECT * FROM current_profiles ORDER BY user_id"
USERS = "SELECT count(*), count(CASE WHEN affinity >= ? THEN 1 END) FROM user_interests WHERE tag = ?"
# The highest affinity that enough users have, rounded down so that it can be typed.
ENOUGH = """
    SELECT floor(affinity * 1000) / 1000 FROM user_interests WHERE tag = ? ORDER BY affinity DESC LIMIT 1 OFFSET ?
"""


def export_audience(
    connection: duckdb.DuckDBPyConnection,
    tag: str,
    min_affinity: float,
    file: Path,
    raw: bool = False,
    min_audience: int = MIN_AUDIENCE,
) -> int:
    """Write the users whose newest profile has the tag, highest affinity first; return how many.

    min_affinity: the least probability within the horizon of the profile, 0 to 1. raw: as for `write_rows`.
    Raises InputError if there are fewer users than `min_audience`; no file is written then.
    """
    _require_suffix(file)
    [(with_tag, reached)] = connection.execute(USERS, [min_affinity, tag]).fetchall()
    name = repr(printable(tag))
    if not with_tag:
        raise InputError(
            f"no user has the tag {name}: `throughline query 'SELECT tag FROM tag_audience'` lists the tags"
        )
    if with_tag < min_audience:
        raise InputError(
            f"fewer than {min_audience} users have the tag {name}: an audience has {min_audience} or more, by the "
            f"setting min_audience"
        )
    if reached < min_audience:
        [(enough,)] = connection.execute(ENOUGH, [tag, min_audience - 1]).fetchall()
        raise InputError(
            f"fewer than {min_audience} users have the tag {name} with an affinity of {min_affinity:g} or more: "
            f"lower --min-affinity to {enough:.3f}, which {min_audience} users have"
        )
    return write_rows(connection.sql(AUDIENCE, params=[tag, min_affinity]), file, raw)


def export_profiles(
    connection: duckdb.DuckDBPyConnection, file: Path, raw: bool = False, min_audience: int = MIN_AUDIENCE
) -> int:
    """Write the newest profile of each user, one row per user by user_id; return how many.

    Raises InputError if there are fewer users than `min_audience`; no file is written then.
    """
    _require_suffix(file)
    [(users,)] = connection.execute("SELECT count(*) FROM current_profiles").fetchall()
    if users < min_audience:
        raise InputError(
            f"the release has fewer than {min_audience} profiles: an export has {min_audience} or more, by the setting "
            f"min_audience"
        )
    return write_rows(connection.sql(PROFILES), file, raw)


def write_rows(result: duckdb.DuckDBPyRelation, file: Path, raw: bool) -> int:
    """Write the rows of a query batch by batch, by a rename at the end; return how many.

    raw: leave texts of CSV as they are stored; else a text that a spreadsheet would compute gets a leading '.
    """
    batches = result.to_arrow_reader(ROWS_AT_ONCE)
    count = 0
    with replaced_whole(file) as temporary:
        if file.suffix == ".parquet":
            with pq.ParquetWriter(temporary, batches.schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    count += batch.num_rows
        else:
            with temporary.open("w", encoding="utf-8", newline="") as text:
                text.write(as_csv(batches.schema.empty_table(), raw))
                for batch in batches:
                    text.write(as_csv(pa.Table.from_batches([batch]), raw, has_header=False))
                    count += batch.num_rows
    return count


def _require_suffix(file: Path) -> None:
    if file.suffix not in SUFFIXES:
        raise UsageError(f"unknown format of {file}: expected a file name that ends in {' or '.join(SUFFIXES)}")
