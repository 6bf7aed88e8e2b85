"""Row counts and order-independent hashes of the tables that the pipeline and DuckDB made from the same lines."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb

from pipeline.local.spark_config import CATALOG, pyiceberg_properties
from pipeline.settings import Settings
from pipeline.warehouse.names import branch_of

TABLES = ("events", "rejects", "items", "sessions", "sequences")
MICROS = "lambda moment: epoch_us(moment)"
ROWS = {
    "rejects": "SELECT arrival_day, file, line, reason FROM rejects",
    "events": """SELECT
        user_id, event_id, epoch_us(event_at), event_type, weight, item_id, tags, url, consent, file, line,
        epoch_us(received_at), arrival_day, known_on, lateness_days, is_late, bot_class, last_copy_on FROM events""",
    "sessions": """SELECT
        user_id, is_counted, epoch_us(started_at), epoch_us(ended_at), epoch_us(run_started_at), is_open,
        split_reason, tags, list_transform(events, lambda one: (one.event_id, one.arrival_day, one.item_id))
        FROM sessions""",
    "sequences": f"""SELECT user_id, as_of, list_transform(event_at, {MICROS}), action, tags, weight, event_count,
        epoch_us(first_event_at), epoch_us(last_event_at),
        list_transform(session_id, lambda one: list_position(session_id, one))
        FROM sequences""",
    "items in sequences": """SELECT user_id, as_of, place, item_id FROM (
            SELECT user_id, as_of, unnest(item) AS item, generate_subscripts(item, 1) AS place FROM sequences)
        LEFT JOIN items USING (item)""",
}
Fingerprints = dict[str, tuple[int, str]]  # rows and hash of each of ROWS


def pipeline_fingerprints(settings: Settings, last: date) -> Fingerprints:
    """Return the fingerprints of the tables on the branch of a day that is not published yet."""
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog(CATALOG, **pyiceberg_properties(settings))
    views = {}
    for name in TABLES:
        table = catalog.load_table(f"interest.{name}")
        snapshot = table.snapshot_by_name(branch_of(last))
        assert snapshot is not None, f"no branch {branch_of(last)} of {name}"
        tasks = list(table.scan(snapshot_id=snapshot.snapshot_id).plan_files())
        assert not any(task.delete_files for task in tasks), f"{name} has delete files, which Parquet alone ignores"
        views[name] = f"SELECT * FROM read_parquet({[task.file.file_path for task in tasks]})"
    return _fingerprints(views)


def duckdb_fingerprints(out: Path) -> Fingerprints:
    """Return the fingerprints of the tables that DuckDB wrote."""
    views = {name: f"SELECT * FROM read_parquet('{out}/{name}/*/*.parquet')" for name in TABLES}
    views["rejects"] = f"SELECT * FROM read_parquet('{out}/rejects.parquet')"
    views["items"] = f"SELECT *, hash(item_id) AS item FROM read_parquet('{out}/items.parquet')"
    return _fingerprints(views)


def _fingerprints(views: Mapping[str, str]) -> Fingerprints:
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "6GB"})
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    for name, select in views.items():
        connection.execute(f"CREATE VIEW {name} AS {select}")
    fingerprints: Fingerprints = {}
    for name, rows in ROWS.items():
        found = connection.execute(f"SELECT count(*), sum(hash(one)) FROM ({rows}) AS one").fetchone()
        assert found is not None
        fingerprints[name] = (int(found[0]), str(found[1]))
    return fingerprints
