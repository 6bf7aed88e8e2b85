"""Delete what is older than the settings keep_*_days allow: landed lines, rejects, sequences, profiles and logs.

    python -m pipeline.jobs retain [--run-id ID]

Holds the lease. Days count back from the newest cleaned day, so a home that rests loses nothing. Rows go with a new
release. Events stay; a day whose landed lines are gone cannot be run again. Nothing is deleted unless a setting says
so, but old logs. May be repeated after a crash.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipeline.erasure import is_unfinished
from pipeline.errors import InputError, exit_with_message
from pipeline.landing.locks import landing_stopped
from pipeline.landing.zone import LandingZone
from pipeline.local.rotation import delete_old_files
from pipeline.settings import Settings, load_settings
from pipeline.warehouse import branches, run_log
from pipeline.warehouse.lease import lease_held
from pipeline.warehouse.names import BRANCH_PREFIX, MAIN, require_run_id
from pipeline.warehouse.session import open_session
from pipeline.warehouse.tables import create_tables, table
from pipeline.warehouse.writes import add_release, releases_in_order

DAY_COLUMNS = {"rejects": "arrival_day", "sequences": "as_of", "profiles": "as_of"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="retain", description=__doc__)
    parser.add_argument("--run-id")
    now = datetime.now(UTC)
    run_id = require_run_id(parser.parse_args(arguments).run_id or f"retention_{now:%Y%m%dT%H%M%S}")
    settings = load_settings()
    with lease_held(settings, run_id, now.date()) as lease, open_session(settings, "retain") as spark:
        create_tables(spark)
        retain(spark, settings, run_id)
        lease.require_held()
    files, freed = delete_old_files(settings)
    print(f"logs and scores: {files:,} old files deleted, {freed / 2**20:.1f} MiB freed")


def retain(spark: SparkSession, settings: Settings, run_id: str) -> None:
    """Delete old landed lines and rows, and publish the tables without them.

    Raises InputError if a run or an erasure is not ended: what is left of it must not be lost.
    """
    kept = {name: getattr(settings, f"keep_{name}_days") for name in ("landing", *DAY_COLUMNS)}
    newest = run_log.newest_cleaned_day(spark.table(table("runs")))
    if newest is None or not any(kept.values()):
        print("no days are limited, or nothing is cleaned yet: no line and no row is deleted", flush=True)
        return
    if is_unfinished(settings) or any(
        ref.startswith(BRANCH_PREFIX) for of in branches.read_refs(spark).values() for ref in of
    ):
        raise InputError("a run or an erasure has not ended: clear its tasks or run it again, then run this again")
    if kept["landing"]:
        zone = LandingZone(settings.landing_folder)
        with landing_stopped(settings):
            for name in zone.sources():
                removed = zone.remove_before(name, first_kept(newest, kept["landing"]))
                print(f"{name}: landed lines of {len(removed):,} days deleted", flush=True)
    deleted = {
        name: _delete_before(spark, name, first_kept(newest, days)) for name in DAY_COLUMNS if (days := kept[name])
    }
    if not any(deleted.values()):
        return
    print("rows deleted: " + ", ".join(f"{name} {count:,}" for name, count in deleted.items()), flush=True)
    releases = releases_in_order(spark)
    if releases:
        snapshots = {name: of[MAIN] for name, of in branches.read_refs(spark).items()}
        config_hash = settings.results_hash(LandingZone(settings.landing_folder).source_files())
        add_release(spark, releases[-1].as_of, run_id, snapshots, config_hash)


def first_kept(newest: date, days: int) -> date:
    """Return the first of so many days up to the newest."""
    return newest - timedelta(days=days - 1)


def _delete_before(spark: SparkSession, name: str, first: date) -> int:
    """Delete the rows of a table of days before `first` from main, which readers do not see; return how many."""
    is_old = F.col(DAY_COLUMNS[name]) < F.lit(first)
    count = spark.table(table(name)).where(is_old).count()
    if count:  # whole partitions, so no file is rewritten
        spark.sql(f"DELETE FROM {table(name)} WHERE {DAY_COLUMNS[name]} < DATE '{first}'")
    return count


if __name__ == "__main__":
    with exit_with_message():
        main()
