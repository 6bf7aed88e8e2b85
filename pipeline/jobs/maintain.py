"""Keep a home from growing: merge small files, expire old snapshots, delete orphan files, old logs, scores and pages.

The local PostgreSQL is vacuumed, and Airflow's records of runs whose logs are gone are deleted from it.

    python -m pipeline.jobs maintain [--run-id ID]

Holds the lease, so no night writes meanwhile. The newest release, the newest of each of the last `keep_release_days`
days, and what a reader may still hold stay readable. It changes no row, and may be repeated after a crash.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from pipeline.analyst.report.page import delete_pages
from pipeline.errors import exit_with_message
from pipeline.local.rotation import delete_old_files, tidy_databases
from pipeline.settings import load_settings
from pipeline.warehouse.lease import lease_held
from pipeline.warehouse.maintenance import first_kept_day, maintain_tables
from pipeline.warehouse.names import require_run_id
from pipeline.warehouse.session import open_session
from pipeline.warehouse.tables import create_tables
from pipeline.warehouse.writes import releases_in_order


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="maintain", description=__doc__)
    parser.add_argument("--run-id", default="maintenance")
    run_id = require_run_id(parser.parse_args(arguments).run_id)
    settings = load_settings()
    today = datetime.now(UTC).date()
    with lease_held(settings, run_id, today) as lease, open_session(settings, "maintain") as spark:
        create_tables(spark)
        for done in maintain_tables(spark, settings.keep_release_days):
            print(done, flush=True)
            lease.require_held()
        releases = releases_in_order(spark)
    files, freed = delete_old_files(settings)
    print(f"logs and scores: {files:,} old files deleted, {freed / 2**20:.1f} MiB freed")
    if releases:
        first_kept = first_kept_day(releases, settings.keep_release_days)
        print(f"pages of days before {first_kept}: {delete_pages(settings, first_kept):,} deleted")
    if settings.needs_local_postgres:
        print(f"PostgreSQL: {tidy_databases(settings)}")


if __name__ == "__main__":
    with exit_with_message():
        main()
