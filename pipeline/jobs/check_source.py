"""Try a TOML on the first lines of a log, and write what would become of them. Lands nothing and writes no table.

    python -m pipeline.jobs check_source --source shop.toml --report REPORT.json [--lines 10000] PATH...

The job of `throughline source check` and `source new`. The first lines land in a temporary folder and are validated, by
the functions of `land` and `clean`. Catalogues of items among the files give their tags. Fails when the TOML or an
expression is invalid, when a file cannot be read, or when no line has a readable time.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import exit_with_message
from pipeline.landing.staging import input_files, sort_files
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.canonical import check_expressions, check_items
from pipeline.transforms.trial import land_first_lines, stage_catalogues, trial
from pipeline.warehouse.session import open_session


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="check_source", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("paths", nargs="+", type=Path)
    parsed = parser.parse_args(arguments)

    toml = source_file(parsed.source)
    source = load_source(toml)
    files = sort_files(input_files(parsed.paths), source)
    settings = load_settings()
    with open_session(settings, "check_source") as spark:
        check_expressions(spark, source, toml)
        check_items(spark, source, toml)
        staging = settings.home / "staging"
        staging.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=staging, prefix="check_source-") as folder:
            lines = land_first_lines(spark, source, files.logs, parsed.lines, Path(folder))
            found = trial(lines, source, settings, stage_catalogues(spark, source, files.catalogues, Path(folder)))
        parsed.report.write_text(json.dumps(found.as_dict()), encoding="utf-8")


if __name__ == "__main__":
    with exit_with_message():
        main()
