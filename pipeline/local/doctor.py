"""`throughline doctor`: check what is installed, reachable and configured, and say how to fix what is not.

With `--deep` it also checks that each file of the newest release is there and whole.
"""

import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.analyst.release import NAMESPACE, newest_release
from pipeline.errors import ThroughlineError
from pipeline.landing.zone import LandingZone
from pipeline.local import postgres
from pipeline.local.airflow import airflow_program, is_up
from pipeline.local.airflow_config import OPERATOR, address, logs_folder, passwords_file
from pipeline.local.engine import HOST, find_engine, log_file
from pipeline.local.java import require_java
from pipeline.local.preflight import require_free_space
from pipeline.local.spark_config import fetched_jars, is_one_machine, needed_jars
from pipeline.pseudonyms import KEY_FILE, key_fingerprint, pseudonym_key, require_new
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile


PACKAGES = ("pyspark", "pyiceberg", "great-expectations", "duckdb", "pyarrow")


def run_checks(settings: Settings, console: Console) -> bool:
    """Print one row per check; return whether all passed. Changes and starts nothing."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python", lambda: f"{sys.version.split()[0]} in {sys.prefix}"),
        ("packages", lambda: ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        ("torch", _torch),
        ("Java", lambda: str(require_java(settings))),
        ("home", lambda: _home(settings)),
        ("disk", lambda: _disk(settings)),
        ("jars", lambda: _jars(settings)),
        ("Spark", lambda: _spark(settings)),
        ("catalog", lambda: _catalog(settings)),
        ("lease", lambda: _lease(settings)),
        ("pseudonym key", lambda: _key(settings)),
        ("landing", lambda: _landing(settings)),
        ("Airflow", lambda: _airflow(settings)),
        ("logs", lambda: f"{settings.home / 'logs'}; those of Airflow and its tasks in {logs_folder(settings)}"),
    ]
    table = Table(box=None, show_header=False, pad_edge=False)
    has_passed = True
    for name, check in checks:
        try:
            table.add_row(Text("✓", style="green"), name, Text(check()))
        except ThroughlineError as problem:
            has_passed = False
            table.add_row(Text("✗", style="red"), name, Text(str(problem)))
    console.print(table)
    return has_passed


def _torch() -> str:
    try:
        return f"{version('torch')}; on Linux it includes CUDA, 5 GB of the environment's 6.7 GB"
    except PackageNotFoundError:
        return "not installed: only training and evaluation of models need it (`uv sync --group train`)"


def _home(settings: Settings) -> str:
    if not settings.home.is_dir():
        return f"{settings.home}, not made yet: the first command makes it"
    return f"{settings.home}"


def _disk(settings: Settings) -> str:
    require_free_space(settings)
    folder = next(parent for parent in (settings.home, *settings.home.parents) if parent.exists())
    return f"{shutil.disk_usage(folder).free / 2**30:.0f} GiB free, at least {settings.min_free_gib:g} GiB needed"


def _jars(settings: Settings) -> str:
    jars = fetched_jars(settings)
    if not jars:
        return f"{', '.join(needed_jars(settings))} not fetched yet: the first command fetches them"
    return f"{', '.join(jar.stem for jar in jars)} in {jars[0].parent}"


def _spark(settings: Settings) -> str:
    if settings.spark_engine.startswith("sc://"):
        return "the Spark Connect server of the setting spark_engine"
    if settings.spark_engine == "submit" or not is_one_machine(settings):
        return f"a process of spark-submit per job, on {settings.spark_master}"
    engine = find_engine(settings)
    if engine is None:
        return "warm engine, down: the first step that needs it starts it"
    return f"warm engine, up on {HOST}:{engine.port}; its log: {log_file(settings)}"


def _catalog(settings: Settings) -> str:
    if settings.uses_local_catalog:
        return f"in the {_postgres(settings)}"
    return f"{settings.catalog.get('type', 'unknown type')} at {settings.catalog.get('uri', 'no uri')}"


def _lease(settings: Settings) -> str:
    if settings.lease_url:
        return "in the PostgreSQL of the setting lease_url"
    scope = "" if settings.uses_local_catalog else "; it excludes runs of this home only: set lease_url to share it"
    return f"in the {_postgres(settings)}{scope}"


def _postgres(settings: Settings) -> str:
    if not postgres.is_running(settings):
        return f"local PostgreSQL, down: the next command starts it on {postgres.HOST}:{settings.postgres_port}"
    return f"local PostgreSQL, up on {postgres.HOST}:{settings.postgres_port}"


def _airflow(settings: Settings) -> str:
    try:
        airflow_program()
    except ThroughlineError as missing:
        return str(missing)
    installed = f"apache-airflow {version('apache-airflow')}"
    if not is_up(settings):
        return f"{installed}, down: `make up` starts it"
    return f"{installed}, up at {address(settings)}; user {OPERATOR}, password in {passwords_file(settings)}"


def _key(settings: Settings) -> str:
    file = settings.home / KEY_FILE
    if settings.pseudonym_key is None and not file.is_file():
        require_new(settings)
        return "not made yet: the first command makes it"
    fingerprint = key_fingerprint(pseudonym_key(settings))
    place = f"{file}, mode 600" if settings.pseudonym_key is None else "from the settings"
    return f"{place}; fingerprint {fingerprint}; keep a copy of it apart from backups"


def _landing(settings: Settings) -> str:
    zone = LandingZone(settings.landing_folder)
    days_of = {source: zone.days(source) for source in zone.sources()}
    sources = [
        f"{source}: {len(days)} days, {min(days)} to {max(days)}" if days else f"{source}: no day"
        for source, days in days_of.items()
    ]
    return "; ".join(sources) or "nothing landed yet: `throughline land --source NAME PATH`"


SHOWN = 5


def check_files(catalog: "Catalog", console: Console) -> bool:
    """Print a line per table of the newest release about its data files; return whether all are there and whole.

    A file is whole if it has the bytes that its manifest says and a footer with as many rows. Values are not read.
    Raises InputError if nothing is published.
    """
    release = newest_release(catalog, None)
    is_whole = True
    for name in sorted(release.snapshots):
        try:
            count, problems = _check_table(catalog, name, release.snapshots[name])
        except OSError as error:  # metadata are missing
            count, problems = 0, [str(error)]
        is_whole = is_whole and not problems
        if problems:
            more = f" and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
            shown = "; ".join(problems[:SHOWN])
            console.print(f"✗ {name}: {len(problems):,} of {count:,} files: {shown}{more}", style="red", soft_wrap=True)
        else:
            console.print(f"✓ {name}: {count:,} files, there and whole")
    if not is_whole:
        console.print(
            f"{release} is not whole: restore a backup, or land its logs in a new THROUGHLINE_HOME", soft_wrap=True
        )
    return is_whole


def _check_table(catalog: "Catalog", name: str, snapshot: int) -> tuple[int, list[str]]:
    table = catalog.load_table((NAMESPACE, name))
    tasks = list(table.scan(snapshot_id=snapshot).plan_files())
    files = [file for task in tasks for file in (task.file, *task.delete_files)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda file: _problem(table.io, file), files))
    return len(files), [problem for problem in found if problem]


def _problem(io: "FileIO", file: "DataFile") -> str:
    """Return what is wrong with a data file; nothing if it is whole."""
    try:
        opened = io.new_input(file.file_path)
        if len(opened) != file.file_size_in_bytes:
            return f"{file.file_path} has {len(opened):,} bytes, expected {file.file_size_in_bytes:,}"
        with opened.open() as stream:
            rows = pq.ParquetFile(stream).metadata.num_rows
        return (
            "" if rows == file.record_count else f"{file.file_path} has {rows:,} rows, expected {file.record_count:,}"
        )
    except FileNotFoundError:
        return f"{file.file_path} is missing"
    except (OSError, ValueError) as error:
        return f"{file.file_path} cannot be read: {str(error).splitlines()[0]}"
