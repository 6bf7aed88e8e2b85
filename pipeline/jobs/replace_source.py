"""Check a new TOML of a landed source and keep it for a run, which cleans by it; `publish` makes it the source's own.

    python -m pipeline.jobs replace_source --source my.toml --run-id replay_my_20260131T040000

The first job of `throughline rejects replay`. Writes to no table. Fails when the source has not landed, when an
expression is invalid, or when the TOML would split the landed files into other lines; the current TOML stays.
"""

import argparse
from collections.abc import Sequence

from pipeline.errors import exit_with_message
from pipeline.landing.zone import LandingZone
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.canonical import check_expressions, check_items
from pipeline.warehouse.names import require_run_id
from pipeline.warehouse.session import open_session


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="replace_source", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--run-id", required=True)
    parsed = parser.parse_args(arguments)

    run_id = require_run_id(parsed.run_id)
    toml = source_file(parsed.source)
    source = load_source(toml)
    settings = load_settings()
    zone = LandingZone(settings.landing_folder)
    zone.require_replaceable(source, toml)
    with open_session(settings, "replace_source") as spark:
        check_expressions(spark, source, toml)
        check_items(spark, source, toml)
    zone.replace_source(toml, run_id)
    print(f"run {run_id} reads {source.name} by {toml}")


if __name__ == "__main__":
    with exit_with_message():
        main()
