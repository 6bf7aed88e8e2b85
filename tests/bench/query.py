"""`make bench query`: what analysts wait for over a million generated profiles, against DuckDB alone on the same files.

A table of profiles is written by PyIceberg, one data file per day, and published. Each query runs in a process of its
own, by `throughline.connect()` and by DuckDB's own reader of Parquet, in turns. The table shows medians: seconds of the
query alone, bytes that the process read for it (from the disk or its cache), and the peak memory of the process. All
answers must have the same rows, and so must Spark SQL, which reads the same files by the views of the catalog.

python -m tests.bench.query [--quick]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import sqlglot
from pyiceberg.catalog.sql import SqlCatalog
from rich.console import Console
from rich.table import Table

from pipeline.analyst.connect import connect_to_catalog
from pipeline.analyst.ddl import declared_columns
from pipeline.analyst.dialects import create_statements
from pipeline.analyst.query import view_sql
from pipeline.local.java import prepare_java
from pipeline.settings import MIN_AUDIENCE, Settings
from tests.bench.machine import machine

RESULTS = Path(__file__).with_name("results") / "query.json"
DAYS, USERS, QUICK_USERS = 20, 50_000, 2_000  # a profile per user and day
INTERESTS, TAGS, EMBEDDING = 10, 500, 64
REPEATS, GOAL = 3, 3.0
FIRST = date(2026, 1, 1)
QUERIES = {
    "history of a user": """
        SELECT as_of, entry.interest.tag AS tag, entry.interest.affinity AS affinity
        FROM profiles CROSS JOIN unnest(interests) AS entry (interest)
        WHERE user_id = '{user}' ORDER BY as_of, affinity DESC, tag
    """,
    "top tags": """
        SELECT tag, user_count, round(expected_user_count, 6) AS expected
        FROM tag_audience ORDER BY expected DESC, tag LIMIT 10
    """,
    "pairs of tags": """
        SELECT tag, other_tag, user_count FROM interest_pairs
        WHERE user_count IS NOT NULL ORDER BY user_count DESC, tag, other_tag LIMIT 10
    """,
}
VIEWS = ("current_profiles", "user_interests", "tag_audience", "interest_pairs")  # each reads those before it


def open_catalog(folder: Path) -> SqlCatalog:
    return SqlCatalog("throughline", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")


def write_profiles(folder: Path, users: int) -> None:
    """Write and publish a profile per user and day; tags are popular by a power law, and each day draws them again."""
    catalog = open_catalog(folder)
    catalog.create_namespace("interest")
    table = catalog.create_table(("interest", "profiles"), schema=_schema("profiles"))
    random = np.random.default_rng(1)
    for number in range(DAYS):
        table.append(_profiles(random, users, FIRST + timedelta(days=number)))
    snapshot = table.current_snapshot()
    assert snapshot is not None
    release = dict.fromkeys(("run_id", "code_version", "config_hash"), "") | {
        "as_of": FIRST + timedelta(days=DAYS - 1),
        "published_at": datetime.now(UTC),
        "snapshots": [("profiles", snapshot.snapshot_id)],
    }
    releases = catalog.create_table(("interest", "releases"), schema=_schema("releases"))
    releases.append(pa.Table.from_pylist([release], schema=_schema("releases")))


def _schema(table: str) -> pa.Schema:
    return pa.schema([pa.field(one.name, one.type, nullable=not one.is_required) for one in declared_columns(table)])


def _profiles(random: np.random.Generator, users: int, day: date) -> pa.Table:
    """Return a day's profiles, sorted by user as Spark's shuffle leaves them within a file."""
    count = users * INTERESTS
    tags = np.minimum(random.zipf(1.3, count), TAGS)
    interest = pa.StructArray.from_arrays(
        [
            pa.array([f"tag-{number:03}" for number in range(TAGS + 1)]).take(pa.array(tags)),
            pa.array(random.beta(1, 4, count)),
            pa.array(np.tile(np.arange(1, INTERESTS + 1, dtype=np.int32), users)),
            pa.array(random.normal(0, 0.1, count)),
            pa.array(random.random(count) < 0.1),
            pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32), pa.array(["0123456789abcdef"] * count)),
        ],
        names=["tag", "affinity", "rank", "trend", "is_new", "evidence"],
    )
    filled: dict[str, pa.Array] = {
        "user_id": pa.array([user_id(number) for number in range(users)]),
        "as_of": pa.array([day] * users),
        "horizon_days": pa.array([7] * users, pa.int32()),
        "interests": pa.ListArray.from_arrays(np.arange(0, count + 1, INTERESTS, dtype=np.int32), interest),
        "embedding": pa.ListArray.from_arrays(
            np.arange(0, users * EMBEDDING + 1, EMBEDDING, dtype=np.int32),
            pa.array(random.normal(0, 1, users * EMBEDDING).astype(np.float32)),
        ),
    }
    schema = _schema("profiles")
    return pa.table([filled.get(field.name, _blank(field.type, users)).cast(field.type) for field in schema], schema)


def _blank(kind: pa.DataType, users: int) -> pa.Array:
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        return pa.array([[]] * users, kind)
    if pa.types.is_timestamp(kind):
        return pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * users, kind)
    return pa.array([""] * users) if pa.types.is_string(kind) else pa.array([0] * users, kind)


def user_id(number: int) -> str:
    return f"{number:064x}"


def ask(folder: Path, way: str, query: str, user: str) -> dict[str, Any]:
    """Answer a query in this process, by `release` or by `files`; return its costs and rows."""
    if way == "release":
        connection = connect_to_catalog(open_catalog(folder))
    else:
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"CREATE VIEW profiles AS FROM read_parquet('{folder}/warehouse/**/profiles/data/*.parquet')"
        )
        for name in VIEWS:
            connection.execute(f"CREATE VIEW {name} AS {view_sql(name)}")
    before, started = _of_process("io", "rchar"), time.monotonic()
    rows = connection.execute(QUERIES[query].format(user=user)).fetchall()
    return {
        "seconds": time.monotonic() - started,
        "read_mib": (_of_process("io", "rchar") - before) / 2**20,
        "peak_mib": _of_process("status", "VmHWM") / 2**10,
        "rows": [[str(value) for value in row] for row in rows],
    }


def ask_spark(folder: Path, user: str) -> dict[str, list[list[str]]]:
    """Return the rows of each query by Spark SQL, with the views as a catalog has them."""
    from pyspark.sql import SparkSession

    os.environ["JAVA_HOME"] = str(prepare_java(Settings(home=folder)).home)
    builder = SparkSession.builder.master("local[2]").config("spark.driver.bindAddress", "127.0.0.1")
    options = {"driver.host": "127.0.0.1", "driver.memory": "2g", "sql.session.timeZone": "UTC", "ui.enabled": "false",
               "sql.warehouse.dir": f"{folder}/spark", "sql.shuffle.partitions": "2"}  # fmt: skip
    for name, value in options.items():
        builder = builder.config(f"spark.{name}", value)
    spark = builder.getOrCreate()
    [data] = folder.glob("warehouse/**/profiles/data")
    spark.sql("CREATE DATABASE interest")
    spark.sql(f"CREATE TABLE interest.profiles USING parquet LOCATION '{data}'")
    for name, statement in create_statements("spark", MIN_AUDIENCE).items():
        if name in VIEWS:
            spark.sql(statement)
    spark.sql("USE interest")
    answers = {}
    for query, sql in QUERIES.items():
        [translated] = sqlglot.transpile(sql, read="duckdb", write="spark")
        rows = spark.sql(translated.format(user=user)).collect()
        answers[query] = [[str(value) for value in row] for row in rows]
    spark.stop()
    return answers


def _of_process(file: str, name: str) -> int:
    """Return a figure of this process: rchar of io is bytes read, from disk or cache; VmHWM of status is peak KiB."""
    lines = Path(f"/proc/self/{file}").read_text(encoding="utf-8").splitlines()
    [line] = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1])


def bench_query(console: Console, users: int) -> dict[str, Any]:
    """Write the profiles, ask each query in both ways, print a table, and return the medians."""
    medians: dict[str, Any] = {}
    with TemporaryDirectory(prefix="throughline-bench-") as folder:
        write_profiles(Path(folder), users)
        by_spark = _in_a_process("--ask-spark", folder, user_id(users // 2))
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet")) / 2**20
        for query in QUERIES:
            asked: dict[str, list[dict[str, Any]]] = {"release": [], "files": []}
            for _ in range(REPEATS):
                for way, answers in asked.items():
                    answers.append(_in_a_process("--ask", folder, way, query, user_id(users // 2)))
            every = [one.pop("rows") for answers in asked.values() for one in answers]
            assert all(rows == by_spark[query] for rows in every), f"{query}: the rows differ"
            medians[query] = {
                way: {name: round(median(one[name] for one in answers), 2) for name in answers[0]}
                for way, answers in asked.items()
            }
    shown = Table("query", "by", "seconds", "MiB read", "peak MiB")
    for query, ways in medians.items():
        for way, one in ways.items():
            shown.add_row(query, way, *[f"{one[name]:,.2f}" for name in ("seconds", "read_mib", "peak_mib")])
        ways["times"] = round(ways["release"]["seconds"] / ways["files"]["seconds"], 2)
        shown.add_row(query, "times", f"{ways['times']:,.2f}")
    console.print("Spark SQL has the same rows")
    console.print(f"{users * DAYS:,} profiles, {size:,.0f} MiB of Parquet; goal: at most {GOAL:g} times")
    console.print(shown)
    return {"profiles": users * DAYS, "parquet_mib": round(size), "queries": medians}


def _in_a_process(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.query", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_USERS * DAYS:,} profiles")
    parser.add_argument("--ask", nargs=4, metavar=("FOLDER", "WAY", "QUERY", "USER"), help="answer one query and end")
    parser.add_argument(
        "--ask-spark", nargs=2, metavar=("FOLDER", "USER"), help="answer all queries by Spark SQL and end"
    )
    given = parser.parse_args()
    if given.ask:
        folder, way, query, user = given.ask
        print(json.dumps(ask(Path(folder), way, query, user)))
        return
    if given.ask_spark:
        folder, user = given.ask_spark
        print(json.dumps(ask_spark(Path(folder), user)))
        return
    found = {"machine": machine(), **bench_query(Console(), QUICK_USERS if given.quick else USERS)}
    if not given.quick:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
