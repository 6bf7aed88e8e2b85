"""Upkeep of the databases in the local PostgreSQL: dead rows, and Airflow's records of old runs."""

from datetime import UTC, datetime, timedelta

import psycopg

from pipeline.errors import ThroughlineError
from pipeline.local import airflow_config, postgres
from pipeline.local.airflow import run_airflow
from pipeline.settings import Settings


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
