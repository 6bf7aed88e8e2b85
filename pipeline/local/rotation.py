"""Upkeep of a home besides its tables: old logs and handed-over scores, and the databases of the local PostgreSQL."""

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from pipeline.errors import ThroughlineError
from pipeline.local import airflow_config, postgres
from pipeline.local.airflow import run_airflow
from pipeline.settings import Settings
from throughline.stores import is_remote

DAYS_OF_EXCHANGE = 7
MAX_LOG_BYTES = 50 << 20  # of the log of a process that never ends
KEPT_BYTES = 1 << 20
SECONDS_PER_DAY = 86_400


def delete_old_files(settings: Settings, now: float | None = None) -> tuple[int, int]:
    """Delete old logs, exchange folders and checkpoints, and shorten long logs to their end; return how many files and
    bytes.

    A log that a process still writes is shortened in place, since processes open their logs to append.

    An exchange outside of the home may hold other files, so only folders of runs go there. Exchange folders and
    checkpoints in S3 stay: a lifecycle rule of the bucket has to delete them.

    now: seconds since 1970.
    """
    now = time.time() if now is None else now
    home, files, freed = settings.home, 0, 0
    for log in [file for file in (home / "logs").rglob("*") if file.is_file() and not file.is_symlink()]:
        stat = log.stat()
        if stat.st_mtime < now - settings.keep_log_days * SECONDS_PER_DAY:
            log.unlink()
            files, freed = files + 1, freed + stat.st_size
        elif stat.st_size > MAX_LOG_BYTES:
            freed += _shorten(log)
    for run in [*_runs(settings.exchange_folder, is_shared=bool(settings.exchange)), *_trainings(settings)]:
        of_run = [file for file in run.rglob("*") if file.is_file()]
        newest = max([file.stat().st_mtime for file in of_run], default=run.stat().st_mtime)
        if newest < now - DAYS_OF_EXCHANGE * SECONDS_PER_DAY:
            freed += sum(file.stat().st_size for file in of_run)
            files += len(of_run)
            shutil.rmtree(run)
    return files, freed


def _runs(exchange: Path, is_shared: bool) -> list[Path]:
    """Return the folders of runs in a folder of scores, which in a shared one have a manifest; none in S3."""
    if is_remote(exchange):
        return []
    folders = [folder for folder in exchange.glob("*") if folder.is_dir() and not folder.is_symlink()]
    return [folder for folder in folders if not is_shared or (folder / "manifest.json").is_file()]


def _trainings(settings: Settings) -> list[Path]:
    """Return the folders of the checkpoints of trainings that machines share; none in S3."""
    return [] if is_remote(settings.checkpoints_folder) else list(settings.checkpoints_folder.glob("*"))


def _shorten(log: Path) -> int:
    """Keep the last lines of a log; return how many bytes were freed."""
    with log.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(size - KEPT_BYTES)
        end = file.read(KEPT_BYTES).partition(b"\n")[2]
        file.truncate(0)
        file.seek(0)
        file.write(end)
    return size - len(end)


def tidy_databases(settings: Settings) -> str:
    """Delete what Airflow recorded of runs whose logs are deleted too, and vacuum each database; return what was done.

    Airflow's database is cleaned only if this home has one: `airflow db clean`, without copies of the deleted rows.
    """
    if not postgres.is_running(settings):
        return "no local PostgreSQL"
    since = datetime.now(UTC) - timedelta(days=settings.keep_log_days)
    databases = _databases(settings)
    done = []
    if airflow_config.DATABASE in databases and (airflow_config.airflow_home(settings) / "airflow.cfg").is_file():
        limit = f"{since:%Y-%m-%d %H:%M:%S+00:00}"
        try:
            run_airflow(settings, "db", "clean", "--clean-before-timestamp", limit, "--skip-archive", "--yes")
            done.append(f"Airflow's records before {since:%Y-%m-%d} deleted")
        except ThroughlineError as error:  # the tables are maintained all the same
            done.append(f"warning: {error}")
    for name in databases:
        with psycopg.connect(postgres.url(settings, name), autocommit=True, connect_timeout=10) as connection:
            connection.execute("VACUUM (ANALYZE)")
    return "; ".join([*done, f"{', '.join(databases)} vacuumed"])


def _databases(settings: Settings) -> list[str]:
    with psycopg.connect(postgres.url(settings, "postgres"), connect_timeout=10) as connection:
        wanted = [postgres.CATALOG_DATABASE, airflow_config.DATABASE]
        statement = "SELECT datname FROM pg_database WHERE datname = ANY(%s) ORDER BY datname DESC"
        return [row[0] for row in connection.execute(statement, [wanted]).fetchall()]
