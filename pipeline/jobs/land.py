"""Take a log into the landing zone, every line kept, by arrival day.

spark-submit pipeline/jobs/land.py --source demo [--arrival-day 2026-01-31] PATH...
"""

import argparse
import shutil
from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.arrival import land_events, land_items
from pipeline.canonical import check_expressions
from pipeline.days import parse_day
from pipeline.errors import told_in_one_line
from pipeline.files import write_whole
from pipeline.landing import LandingZone, input_files, stage_file
from pipeline.settings import load_settings
from pipeline.source import load_source, source_file


def main() -> None:
    parser = argparse.ArgumentParser(prog="land", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--arrival-day", type=parse_day)
    parser.add_argument("paths", nargs="+", type=Path)
    arguments = parser.parse_args()

    toml = source_file(arguments.source)
    source = load_source(toml)
    zone = LandingZone(load_settings().home / "landing")
    files = input_files(arguments.paths)
    spark = SparkSession.builder.appName("land").getOrCreate()
    check_expressions(spark, source, toml)

    is_item_file = [source.items is not None and file.match(source.items.files) for file in files]
    staging = zone.root / source.name / ".staging"
    shutil.rmtree(staging, ignore_errors=True)  # what a killed run left
    try:
        logs = [
            stage_file(file, zone, source.name, source.reader, staging)
            for file, is_item in zip(files, is_item_file, strict=True)
            if not is_item and file.match(source.files)
        ]
        catalogues = [
            stage_file(file, zone, source.name, source.items.reader, staging)
            for file, is_item in zip(files, is_item_file, strict=True)
            if is_item and source.items
        ]
        days = land_events(spark, zone, source, logs, arguments.arrival_day, staging)
        land_items(zone, source.name, catalogues)
        write_whole(zone.root / source.name / "source.toml", toml.read_text(encoding="utf-8"))
        for staged in [*logs, *catalogues]:
            zone.remember(source.name, staged)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    lines = sum(staged.lines for staged in logs)
    print(f"landed {lines:,} lines of {len(logs)} files on {len(days)} arrival days ({days[0]} to {days[-1]})"
          + (f", {len(catalogues)} catalogue files" if catalogues else ""))  # fmt: skip


if __name__ == "__main__":
    with told_in_one_line():
        main()
