"""The frame of every job that writes tables: a Spark session on the branch of the run, under the lease."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyspark.sql import SparkSession

from pipeline.days import DayRange, day_range
from pipeline.erasure import is_unfinished
from pipeline.errors import InputError
from pipeline.landing.zone import LandingZone
from pipeline.pseudonyms import key_fingerprint, pseudonym_key
from pipeline.settings import Settings, load_settings
from pipeline.warehouse import branches
from pipeline.warehouse.lease import Lease
from pipeline.warehouse.names import branch_of, default_run_id, require_run_id
from pipeline.warehouse.run_log import StepClock
from pipeline.warehouse.session import open_session, tune
from pipeline.warehouse.tables import create_tables, create_views, merge_item_copies, require_key, table_properties


@dataclass(frozen=True)
class Step:
    """A running step. refs: the branches of all tables at its start."""

    spark: SparkSession
    settings: Settings
    days: DayRange
    run_id: str
    branch: str
    refs: branches.Refs
    lease: Lease
    clock: StepClock = field(default_factory=StepClock)

    @property
    def zone(self) -> LandingZone:
        return LandingZone(self.settings.landing_folder, self.run_id)


@contextmanager
def run_step(
    step: str, arguments: Sequence[str] | None = None, writes: Sequence[str] = (), is_first_step: bool = False
) -> Iterator[Step]:
    """Open a step: parse `--day D` or `--from A --to B` and `--run-id`, take the lease, work on the branch.

    writes: the tables that the step writes; they get the branch of the run, from main, if they have none.
    The first step creates missing tables, columns and views, and drops left branches. All reads and writes of
    `interest.*` in the block go to the branch, so main does not change. An InputError frees the lease at once, since no
    retry can help. After another error the run keeps the lease, so that no other run drops its branch before a retry.
    The terminal, or Airflow after the last try, then frees it; otherwise it expires.
    """
    days, run_id = _parse(step, arguments)
    settings = load_settings()
    branch = branch_of(days.last)
    lease = Lease(settings, run_id, days.last)
    lease.take()
    try:
        if is_first_step and is_unfinished(settings):
            raise InputError(
                "an erasure has begun and not ended, so lines and tables differ: run `throughline erase --resume`, or "
                "clear its task in interest_erasure, then this run again"
            )
        with lease.renewed():
            with open_session(settings, step) as spark:
                if is_first_step:
                    create_tables(spark)
                    properties = table_properties(spark)
                    require_key(spark, key_fingerprint(pseudonym_key(settings)), properties)
                    create_views(spark, properties, settings.min_audience)
                    merge_item_copies(spark, properties)
                    refs = branches.drop_leftovers(spark)
                else:
                    refs = branches.require_begun(spark, branch, run_id, days.last)
                branches.create(spark, refs, writes, branch)
                spark.conf.set("spark.wap.branch", branch)
                running = Step(spark, settings, days, run_id, branch, refs, lease)
                tune(spark, running.zone.lines_through(days.last))
                yield running
            lease.require_held()
    except InputError:
        lease.free()
        raise


def _parse(step: str, arguments: Sequence[str] | None) -> tuple[DayRange, str]:
    parser = argparse.ArgumentParser(prog=step)
    parser.add_argument("--day", help="the day, such as 2026-01-31")
    parser.add_argument("--from", dest="first", help="first day of a range")
    parser.add_argument("--to", dest="last", help="last day of a range")
    parser.add_argument("--run-id", help="the run that this step belongs to; letters, digits and _ . -")
    parsed = parser.parse_args(arguments)
    days = day_range(parsed.day, parsed.first, parsed.last)
    return days, require_run_id(parsed.run_id or default_run_id(days.last))
