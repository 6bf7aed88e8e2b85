"""Land a log: copy every line into the landing zone, by arrival day.

python -m pipeline.jobs land --source demo [--arrival-day 2026-01-31] [--again] [--in-place] PATH...

One process lands files of a source at a time; another one waits. --again lands files whose landed lines were lost.
--in-place copies nothing: the files are registered on the day that their path names, and read where they lie.
"""

import argparse
import shutil
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.days import format_days, parse_day
from pipeline.errors import InputError, exit_with_message
from pipeline.files import place_of, write_whole
from pipeline.landing.arrival import land_events, land_items
from pipeline.landing.in_place import SUFFIX, days_in_place
from pipeline.landing.locks import source_locked
from pipeline.landing.remains import remove_remains
from pipeline.landing.staging import FoundFiles, input_files, measure_files, sort_files, stage_files
from pipeline.landing.zone import SOURCE_FILE, LandedFile, LandingZone
from pipeline.local.spark_config import is_spark_elsewhere
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.canonical import check_expressions, check_items
from pipeline.transforms.items import catalogue_lines, count_records
from pipeline.warehouse.session import open_session, tune
from throughline.stores import fetched, remove_folder


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="land", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--arrival-day", type=parse_day)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--in-place", action="store_true")
    parser.add_argument("paths", nargs="+", type=place_of)
    parsed = parser.parse_args(arguments)

    settings = load_settings()
    toml = source_file(parsed.source)
    name = load_source(toml).name
    with source_locked(settings, name), open_session(settings, "land") as spark:
        if parsed.in_place:
            zone = LandingZone(settings.landing_folder)
            land_in_place(spark, zone, toml, parsed.paths, parsed.arrival_day, parsed.again)
            return
        folder, zone = settings.home / "staging", LandingZone(settings.landing_folder)
        shared = zone.shared_staging(name) if is_spark_elsewhere(settings) else None
        with fetched(parsed.paths, folder) as paths:
            land(spark, zone, folder, toml, paths, parsed.arrival_day, parsed.again, shared)


def land(
    spark: SparkSession,
    zone: LandingZone,
    folder: Path,
    toml: Path,
    paths: list[Path],
    arrival_day: date | None,
    is_again: bool = False,
    shared: Path | None = None,
) -> None:
    """Land files of the source of a TOML, and print how many lines. The caller holds the lock of the source.

    folder: where the lines are kept until they land. shared: a folder that a Spark elsewhere sees, for copies of them.
    is_again: files that have landed already may land once more, if lines of them were lost; what is left is replaced.
    """
    source = load_source(toml)
    started = time.monotonic()
    found = sort_files(input_files(paths), source)
    check_expressions(spark, source, toml)
    check_items(spark, source, toml)

    staging = folder / source.name
    _remove(staging, shared)  # left by a killed run
    try:
        logs = stage_files(found.logs, zone, source.name, source.reader, staging, is_again)
        if is_again:
            remove_remains(zone, source.name, {staged.name: staged.lines for staged in logs})
        item_reader = source.items.reader if source.items else source.reader
        catalogues = stage_files(found.catalogues, zone, source.name, item_reader, staging)
        tune(spark, sum(staged.lines for staged in logs))
        days = land_events(spark, zone, source, logs, arrival_day, staging, shared) if logs else []
        applies_from = land_items(zone, source.name, catalogues, days, arrival_day) if catalogues else None
        write_whole(zone.root / source.name / SOURCE_FILE, toml.read_text(encoding="utf-8"))
        for staged in [*logs, *catalogues]:
            zone.remember(source.name, staged.sha256, staged.landed)
    finally:
        _remove(staging, shared)
    _print_landed([staged.lines for staged in logs], days, "", started)
    if catalogues and source.items:
        lines = catalogue_lines(spark, zone.catalogue_files(source.name)[-len(catalogues) :])
        counts = count_records(lines, source.items, source.sizes)
        which = f"days from {applies_from} on; for earlier days: throughline items replay --source {source.name}"
        found_records = f"{counts.records:,} records of {counts.items:,} items"
        print(f"landed {len(catalogues)} catalogue files: {found_records}, for {which if applies_from else 'all days'}")
        for warning in counts.warnings():
            print(f"warning: {warning}")
    _print_skipped(found)


def land_in_place(
    spark: SparkSession,
    zone: LandingZone,
    toml: Path,
    paths: list[Path],
    arrival_day: date | None,
    is_again: bool = False,
) -> None:
    """Register files of the source of a TOML where they lie, and print how many lines they have; see `land`.

    Raises InputError if one is a catalogue.
    """
    source = load_source(toml)
    started = time.monotonic()
    found = sort_files(input_files(paths), source)
    if found.catalogues:
        raise InputError(f"{found.catalogues[0]} is a catalogue, which cannot land in place: leave out --in-place")
    days = days_in_place(found.logs, arrival_day)
    check_expressions(spark, source, toml)
    check_items(spark, source, toml)
    files = measure_files(found.logs, zone, source.name, source.reader, is_again)
    if is_again:
        remove_remains(zone, source.name, {file.name: file.lines for file in files})
    for file, day in zip(files, days, strict=True):
        file.write(zone.day_folder(source.name, day) / f"{file.sha256}{SUFFIX}")
    for day in set(days):
        zone.close_day(source.name, day)
    write_whole(zone.root / source.name / SOURCE_FILE, toml.read_text(encoding="utf-8"))
    for file in files:
        zone.remember(source.name, file.sha256, LandedFile(file.name, file.lines))
    _print_landed([file.lines for file in files], sorted(set(days)), " in place", started)
    _print_skipped(found)


def _remove(staging: Path, shared: Path | None) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    if shared and shared.is_dir():
        remove_folder(shared)


def _print_landed(lines: list[int], days: list[date], how: str, started: float) -> None:
    print(
        f"landed {sum(lines):,} lines of {len(lines)} files{how} on {len(days)} arrival days "
        f"({format_days(days) or 'none'}) in {time.monotonic() - started:.1f} s"
    )


def _print_skipped(found: FoundFiles) -> None:
    if found.skipped:
        print(f"skipped, since neither files nor items.files of the TOML matches: {', '.join(found.skipped)}")


if __name__ == "__main__":
    with exit_with_message():
        main()
