"""Land a log: copy every line into the landing zone, by arrival day.

python -m pipeline.jobs land --source demo [--arrival-day 2026-01-31] [--again] PATH...

One process lands files of a source at a time; another one waits. --again lands files whose landed lines were lost.
"""

import argparse
import shutil
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.days import format_days, parse_day
from pipeline.errors import UsageError, exit_with_message
from pipeline.files import write_whole
from pipeline.landing.arrival import land_events, land_items
from pipeline.landing.locks import source_locked
from pipeline.landing.remains import remove_remains
from pipeline.landing.staging import input_files, sort_files, stage_files
from pipeline.landing.zone import SOURCE_FILE, LandingZone
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.canonical import check_expressions, check_items
from pipeline.warehouse.session import open_session, tune
from throughline.stores import fetched, path_of


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="land", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--arrival-day", type=parse_day)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("paths", nargs="+")
    parsed = parser.parse_args(arguments)

    settings = load_settings()
    try:
        inputs = [path_of(path) for path in parsed.paths]
    except ValueError as error:
        raise UsageError(str(error)) from None
    toml = source_file(parsed.source)
    name = load_source(toml).name
    with source_locked(settings, name), open_session(settings, "land") as spark:
        folder = settings.home / "staging"
        with fetched(inputs, folder) as paths:
            land(spark, LandingZone(settings.landing_folder), folder, toml, paths, parsed.arrival_day, parsed.again)


def land(
    spark: SparkSession,
    zone: LandingZone,
    folder: Path,
    toml: Path,
    paths: list[Path],
    arrival_day: date | None,
    is_again: bool = False,
) -> None:
    """Land files of the source of a TOML, and print how many lines. The caller holds the lock of the source.

    folder: where the lines are kept until they land.
    is_again: files that have landed already may land once more, if lines of them were lost; what is left is replaced.
    """
    source = load_source(toml)
    started = time.monotonic()
    found = sort_files(input_files(paths), source)
    check_expressions(spark, source, toml)
    check_items(spark, source, toml)

    staging = folder / source.name
    shutil.rmtree(staging, ignore_errors=True)  # left by a killed run
    try:
        logs = stage_files(found.logs, zone, source.name, source.reader, staging, is_again)
        if is_again:
            remove_remains(zone, source.name, {staged.name: staged.lines for staged in logs})
        item_reader = source.items.reader if source.items else source.reader
        catalogues = stage_files(found.catalogues, zone, source.name, item_reader, staging)
        tune(spark, sum(staged.lines for staged in logs))
        days = land_events(spark, zone, source, logs, arrival_day, staging) if logs else []
        applies_from = land_items(zone, source.name, catalogues, days, arrival_day) if catalogues else None
        write_whole(zone.root / source.name / SOURCE_FILE, toml.read_text(encoding="utf-8"))
        for staged in [*logs, *catalogues]:
            zone.remember(source.name, staged.sha256, staged.landed)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    lines = sum(staged.lines for staged in logs)
    print(
        f"landed {lines:,} lines of {len(logs)} files on {len(days)} arrival days ({format_days(days) or 'none'}) "
        f"in {time.monotonic() - started:.1f} s"
    )
    if catalogues:
        which = f"days from {applies_from} on; for earlier days: throughline items replay --source {source.name}"
        print(f"landed {len(catalogues)} catalogue files, for {which if applies_from else 'all days'}")
    if found.skipped:
        print(f"skipped, since neither files nor items.files of the TOML matches: {', '.join(found.skipped)}")


if __name__ == "__main__":
    with exit_with_message():
        main()
