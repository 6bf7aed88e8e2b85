"""Erase people: from the landing zone, all tables and their old snapshots, and the files of the home.

    python -m pipeline.jobs erase --request FILE [--source NAME] [--dry-run] [--run-id ID]
    python -m pipeline.jobs erase --resume

FILE holds ids of users and devices of a source, one a line, and only its owner may read it; a bare name is that of a
file in THROUGHLINE_HOME/requests, which is deleted at the end. Holds the lease. Rows go on a branch, and readers see
them go by one release. After a crash the same command, or --resume, goes on where it was. Fails when the search at the
end finds one of the people. The last line names the receipt.
"""

import argparse
import getpass
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.days import DayRange
from pipeline.erasure import plan, purge, tables
from pipeline.erasure.journal import Journal, JournalFolder
from pipeline.erasure.landed_lines import PLACES, lines_of, remove_lines
from pipeline.erasure.receipt import (
    IN_PLACE,
    OfTable,
    Receipt,
    copies_elsewhere,
    logs_in_place,
    models_trained_since,
    write_receipt,
)
from pipeline.erasure.request import DROP_FOLDER, Request, read_request, request_file
from pipeline.erasure.search import files_with, rows_with
from pipeline.erasure.tombstones import bury
from pipeline.errors import GateError, InputError, exit_with_message
from pipeline.jobs import clean, sequences, sessions
from pipeline.landing.in_place import SUFFIX
from pipeline.landing.locks import landing_stopped
from pipeline.landing.zone import LandingZone
from pipeline.local.engine import stop_if_unused
from pipeline.pseudonyms import key_fingerprint, pseudonym_key
from pipeline.settings import Settings, load_settings
from pipeline.version import code_version
from pipeline.warehouse import branches, run_log
from pipeline.warehouse.lease import Lease, lease_held
from pipeline.warehouse.names import BRANCH_PREFIX, MAIN, NIGHT_TABLES, branch_of, require_run_id
from pipeline.warehouse.session import open_session, tune
from pipeline.warehouse.step import Step
from pipeline.warehouse.tables import create_tables, require_key, table, table_properties
from pipeline.warehouse.writes import add_release, releases_in_order

LANDED, WORKING, MENTIONS = "landed", "working", "mentions"  # kinds of files that are noted


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="erase", description=__doc__)
    parser.add_argument("--request")
    parser.add_argument("--source")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--run-id")
    parsed = parser.parse_args(arguments)
    settings, now = load_settings(), datetime.now(UTC)
    run_id = require_run_id(parsed.run_id or f"erasure_{now:%Y%m%dT%H%M%S}")
    request = None
    if not parsed.resume:
        request = read_request(settings, request_file(settings, parsed.request or ""), parsed.source)
        print(f"request: {len(request.ids):,} ids of users and devices", flush=True)
    with lease_held(settings, run_id, now.date()) as lease, open_session(settings, "erase") as spark:
        create_tables(spark)
        require_key(spark, key_fingerprint(pseudonym_key(settings)), table_properties(spark))
        tune(spark, LandingZone(settings.landing_folder).lines_through(date.max))
        Erasure(spark, settings, lease, run_id).run(request, parsed.dry_run)
    if not parsed.dry_run:
        stop_if_unused(settings)  # its scratch files held rows


class Erasure:
    """One erasure. Each part may be repeated: what a killed process did stays done."""

    def __init__(self, spark: SparkSession, settings: Settings, lease: Lease, run_id: str) -> None:
        self.spark, self.settings, self.lease, self.run_id = spark, settings, lease, run_id
        self.folder = JournalFolder(settings)
        self.zone = LandingZone(settings.landing_folder)

    def run(self, request: Request | None, is_dry_run: bool) -> None:
        """End an erasure that has begun, if there is one; then erase the people of the request."""
        journal = self.folder.read()
        if journal:
            print(f"going on with the erasure of {journal.started_at}", flush=True)
            if not is_dry_run:
                self.carry_out(journal)
            if request is None or request.digest == journal.digest:
                return
        elif request is None:
            raise InputError("no erasure has begun: name a request with --request FILE")
        assert request is not None
        if journal := self.plan(request, is_dry_run):
            self.carry_out(journal)

    def plan(self, request: Request, is_dry_run: bool) -> Journal | None:
        """Find out what to erase, print it, and begin the journal, which is returned; None for a dry run."""
        spark, settings = self.spark, self.settings
        people = plan.people_of(spark, settings, request)
        found = plan.places_of(spark, settings, people, request).toArrow().cast(PLACES)
        places = spark.createDataFrame(found).localCheckpoint()
        counts = plan.day_counts(spark, places)
        rows = plan.count_rows(spark, people, places)
        first = plan.first_dependent_day(spark, settings, people, places, counts)
        what = ", ".join(f"{name} {count:,}" for name, count in rows.items())
        print(f"to erase: {found.num_rows:,} landed lines; rows: {what}", flush=True)
        if first:
            print(
                f"rows of others depend on them: events, sessions and sequences are made again from {first} on",
                flush=True,
            )
        if is_dry_run:
            print("dry run: nothing was changed", flush=True)
            return None
        now = datetime.now(UTC)
        days = found["arrival_day"].to_pylist()
        journal = Journal(
            name=f"{now:%Y%m%dT%H%M%S}-{request.digest[:8]}",
            digest=request.digest,
            requested=len(request.ids),
            started_at=f"{now:%Y-%m-%d %H:%M:%S}",
            started_by=getpass.getuser(),
            run_id=self.run_id,
            people=people,
            recompute_from=first,
            first_day=min(days, default=None),
            rows=rows,
            lines=found.num_rows,
            day_counts=counts,
            before=purge.table_states(spark),
            dropped_as=request.dropped_as,
        )
        session_ids, items = plan.session_ids(spark, people), plan.touched_items(spark, places)
        self.folder.begin(journal, found, session_ids.toArrow(), items.toArrow())
        print("the erasure has begun", flush=True)
        return journal

    def carry_out(self, journal: Journal) -> None:
        """Erase, search, and write the receipt.

        Raises GateError if the search finds one of the people; the journal stays, so that the next try goes on.
        """
        bury(self.settings, journal.people.users, journal.people.devices)
        print("later lines of these people are refused from now on", flush=True)
        with landing_stopped(self.settings):
            removed = remove_lines(self.zone, self.folder.rows_of(self.folder.lines_file), partial(self.note, LANDED))
            purge.remove_working_files(self.settings, partial(self.note, WORKING))
        print(f"landing zone: rewritten without {removed:,} lines", flush=True)
        if not self.folder.is_written:
            retrained = self.write_branch(journal)
            self.folder.set_written(retrained)
        snapshots = self.publish(journal)
        expired, removed = purge.expire_all_but_newest(self.spark, self.settings, snapshots)
        self.lease.require_held()
        print(f"{expired:,} old snapshots expired, {removed:,} files removed", flush=True)
        names = self.names(journal)
        purge.remove_mentions(self.settings.home, names, partial(self.note, MENTIONS))
        print(f"{len(self.folder.noted(MENTIONS)):,} pages, logs and other files named them", flush=True)
        searched = self.search(journal, names)
        print(f"searched: {sum(searched.values()):,} places name one of them", flush=True)
        receipt = self.receipt(journal, names, searched)
        page = write_receipt(self.settings.receipts_folder, receipt)
        if receipt.left:
            where = ", ".join(f"{place} {count:,}" for place, count in searched.items() if count)
            raise GateError(f"the search found people that were to be erased: {where}; see {page}, then use --resume")
        if journal.dropped_as:
            (self.settings.home / DROP_FOLDER / journal.dropped_as).unlink(missing_ok=True)
        self.folder.end()
        if receipt.models_affected:
            print(f"models trained on their data: {', '.join(receipt.models_affected)}; the next training makes a new "
                  f"one, or `throughline train`", flush=True)  # fmt: skip
        for copy in receipt.copies_left:
            advice = "take their lines out of it, or delete it" if copy.what == IN_PLACE else "delete it"
            print(f"outside of the home: {copy.what} {copy.path} of {copy.made_at}: {copy.found}; {advice}", flush=True)
        print(f"erased; receipt: {page}", flush=True)

    def write_branch(self, journal: Journal) -> list[str]:
        """Write all tables, without these people, to a branch; return the sources whose item clusters were trained."""
        spark = self.spark
        newest = run_log.newest_cleaned_day(spark.table(table("runs"))) or datetime.now(UTC).date()
        branch = branch_of(newest)
        refs = branches.drop_leftovers(spark)
        branches.create(spark, refs, NIGHT_TABLES, branch)
        spark.conf.set("spark.wap.branch", branch)
        places = spark.createDataFrame(self.folder.rows_of(self.folder.lines_file)).localCheckpoint()
        tables.delete_erased(spark, journal, places)
        tables.write_counts(spark, journal.day_counts)
        print(f"rows deleted on branch {branch}", flush=True)
        if journal.recompute_from:
            days = DayRange(journal.recompute_from, newest)
            step = Step(spark, self.settings, days, journal.run_id, branch, branches.read_refs(spark), self.lease)
            for job in (clean, sessions, sequences):
                job.work(step)
                self.lease.require_held()
            print(f"rows of others made again from {days.first} on", flush=True)
        items = spark.createDataFrame(self.folder.rows_of(self.folder.items_file)).localCheckpoint()
        tables.recompute_items(spark, self.zone, items)
        touched = {row.source for row in places.select("source").distinct().collect()}
        retrained = tables.retrain_clusters(spark, self.zone.sources(), touched)
        spark.conf.unset("spark.wap.branch")
        print("items made again", flush=True)
        return retrained

    def publish(self, journal: Journal) -> dict[str, int]:
        """Move main of all tables to the branch, and add a release; return its snapshots, of main if none exists."""
        spark = self.spark
        newest = run_log.newest_cleaned_day(spark.table(table("runs"))) or datetime.now(UTC).date()
        refs = branches.read_refs(spark)
        branch = next((one for of in refs.values() for one in of if one.startswith(BRANCH_PREFIX)), branch_of(newest))
        branches.fast_forward(spark, refs, branch)
        branches.drop(spark, refs, branch)
        purge.forget_old_entries(spark, NIGHT_TABLES)
        snapshots = {name: of[MAIN] for name, of in branches.read_refs(spark).items()}
        releases = releases_in_order(spark)
        if releases and releases[-1].run_id != journal.run_id:
            config_hash = self.settings.results_hash(self.zone.source_files())
            add_release(spark, releases[-1].as_of, journal.run_id, snapshots, config_hash)
            print(f"published the release of {releases[-1].as_of} without them", flush=True)
        return snapshots

    def names(self, journal: Journal) -> frozenset[bytes]:
        """Return the pseudonyms and the ids of the sessions of these people."""
        ids = self.folder.rows_of(self.folder.sessions_file)["session_id"].to_pylist()
        return frozenset(one.encode() for one in (*journal.people.users, *journal.people.devices, *ids))

    def search(self, journal: Journal, names: frozenset[bytes]) -> dict[str, int]:
        """Return in how many places each part of the home names one of these people."""
        people = journal.people
        users, devices = people.user_frame(self.spark), people.device_frame(self.spark)
        return {
            "landed lines, parsed again": lines_of(self.spark, self.settings, users, devices, None).count(),
            **{f"rows by {column}": count for column, count in plan.count_left(self.spark, people).items()},
            "files of the home": sum(1 for _ in files_with(self.settings.home, names)),
            **self.search_database(names),
        }

    def search_database(self, names: frozenset[bytes]) -> dict[str, int]:
        """Return how many rows of the local PostgreSQL name one of these people; by table if any does."""
        if not self.settings.needs_local_postgres:
            return {}
        found = Counter(f"rows of PostgreSQL, {place}" for place in rows_with(self.settings, names))
        return found or {"rows of PostgreSQL": 0}

    def note(self, kind: str, file: Path) -> None:
        """Note a file of the landing zone, or another one of the home, before it is changed."""
        self.folder.note(kind, file, file.stat().st_size)

    def receipt(self, journal: Journal, names: frozenset[bytes], searched: dict[str, int]) -> Receipt:
        """Return the receipt. It compares the tables with what the journal says of them, so that it is the same after
        a crash.
        """
        now = purge.table_states(self.spark)
        of_tables = {}
        for name in NIGHT_TABLES:
            before, after = journal.before[name], now[name]
            gone = before.live.keys() - after.live.keys()
            of_tables[name] = OfTable(
                rows=journal.rows.get(name, 0),
                files_rewritten=len(gone),
                bytes_rewritten=sum(before.live[path] for path in gone),
                bytes_of_table=sum(before.live.values()),
                snapshots_removed=len({*before.snapshots} - {*after.snapshots}),
                files_removed=len({*before.files} - {*after.files}),
            )
        noted = self.folder.noted(LANDED)
        in_place = [file for file in noted if file.endswith(SUFFIX)]
        landed = {file: size for file, size in noted.items() if file not in in_place}
        home = self.settings.home
        mentions = Counter(Path(file).relative_to(home).parts[0] for file in self.folder.noted(MENTIONS))
        return Receipt(
            name=journal.name,
            request_hmac_sha256=journal.digest,
            ids_requested=journal.requested,
            started_at=journal.started_at,
            ended_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
            started_by=journal.started_by,
            run_id=journal.run_id,
            code_version=code_version(),
            landed_lines=journal.lines,
            landed_files_rewritten=len(landed),
            landed_bytes=sum(landed.values()),
            tables=of_tables,
            rows_of_others_from=str(journal.recompute_from) if journal.recompute_from else None,
            clusters_retrained=self.folder.retrained(),
            working_files_removed=len(self.folder.noted(WORKING)),
            files_with_mentions=dict(mentions),
            models_affected=models_trained_since(self.settings.models_folder, journal.first_day),
            copies=[*copies_elsewhere(home, names), *logs_in_place(in_place)],
            searched=searched,
        )


if __name__ == "__main__":
    with exit_with_message():
        main()
