"""The data steps of the pipeline in DuckDB, without increments.

Reads a log of JSON lines and writes Parquet (zstd). It has no gates, no branch and no lease. The seconds of each step
go to stdout as JSON.

python -m tests.bench.duckdb_steps --log FOLDER --key-file HOME/pseudonym.key --out FOLDER
"""

import argparse
import json
import time
from pathlib import Path

import duckdb
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from pipeline.settings import Settings
from pipeline.sources.schema import load_source
from pipeline.transforms.bots import BotRules
from tests.bench.bench_home import DATA_STEPS, TOML

SQL = Path(__file__).with_name("duckdb_sql")


def run_duckdb(log: Path, key: bytes, out: Path, threads: int, memory: str) -> dict[str, float]:
    """Run landing and the three steps one after the other; return the seconds of each."""
    out.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": str(out / "spilled"),
            "preserve_insertion_order": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    _set_rules(connection, log, key, out)
    seconds = {}
    for step in ("land", *DATA_STEPS):
        started = time.monotonic()
        connection.execute((SQL / f"{step}.sql").read_text())
        seconds[step] = round(time.monotonic() - started, 2)
        for (table,) in connection.sql("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall():
            connection.execute(f"DROP TABLE {table}")
    return seconds


def _set_rules(connection: duckdb.DuckDBPyConnection, log: Path, key: bytes, out: Path) -> None:
    """Set the variables of the SQL from the rules of the pipeline."""
    source, settings, bots = load_source(TOML), Settings(), BotRules()
    connection.execute("CREATE TABLE event_types (name VARCHAR, canonical VARCHAR, weight DOUBLE)")
    types = [[name, kind.canonical, kind.weight] for name, kind in source.event_types.items()]
    connection.executemany("INSERT INTO event_types VALUES (?, ?, ?)", types)
    connection.execute(
        "CREATE TABLE bot_patterns AS SELECT unnest(?) AS pattern",
        [[entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA]],
    )
    inner_pad, outer_pad = (bytes(byte ^ pad for byte in key.ljust(64, b"\0")) for pad in (0x36, 0x5C))
    variables = {
        "log": f"{log}/{source.files}",
        "out": str(out),
        "id_space": source.user_space,
        "inner_pad": inner_pad,
        "outer_pad": outer_pad,
        **{name: getattr(settings, name) for name in ("future_days", "duplicate_days", "allowed_lateness_days")},
        "sequence_length": settings.sequence_length,
        **vars(bots),
        "gap_micros": round(source.sessions.inactivity_gap_minutes * 60e6),
        "cap_micros": round(source.sessions.cap_hours * 3600e6),
    }
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="8GB")
    arguments = parser.parse_args()
    key = arguments.key_file.read_text().strip().encode()
    print(json.dumps(run_duckdb(arguments.log, key, arguments.out, arguments.threads, arguments.memory)))


if __name__ == "__main__":
    main()
