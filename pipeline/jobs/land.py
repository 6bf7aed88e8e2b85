"""Land a log: copy every line into the landing zone, by arrival day.

spark-submit pipeline/jobs/land.py --source demo [--arrival-day 2026-01-31] PATH...
"""

import argparse
import shutil
import time
from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.days import format_days, parse_day
from pipeline.errors import exit_with_message
from pipeline.files import write_whole
from pipeline.landing.arrival import land_events, land_items
from pipeline.landing.staging import input_files, sort_files, stage_files
from pipeline.landing.zone import SOURCE_FILE, LandingZone
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.canonical import check_expressions, check_items


def main() -> None:
    parser = argparse.ArgumentParser(prog="land", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--arrival-day", type=parse_day)
    parser.add_argument("paths", nargs="+", type=Path)
    arguments = parser.parse_args()

    toml = source_file(arguments.source)
    source = load_source(toml)
    home = load_settings().home
    zone = LandingZone(home / "landing")
    found = sort_files(input_files(arguments.paths), source)
    spark = SparkSession.builder.appName("land").getOrCreate()
    started = time.monotonic()
    check_expressions(spark, source, toml)
    check_items(spark, source, toml)

    staging = home / "staging" / source.name
    shutil.rmtree(staging, ignore_errors=True)  # left by a killed run
    try:
        logs = stage_files(found.logs, zone, source.name, source.reader, staging)
        item_reader = source.items.reader if source.items else source.reader
        catalogues = stage_files(found.catalogues, zone, source.name, item_reader, staging)
        days = land_events(spark, zone, source, logs, arguments.arrival_day, staging) if logs else []
        land_items(zone, source.name, catalogues)
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
        print(f"landed {len(catalogues)} catalogue files")
    if found.skipped:
        print(f"skipped, since neither files nor items.files of the TOML matches: {', '.join(found.skipped)}")


if __name__ == "__main__":
    with exit_with_message():
        main()
