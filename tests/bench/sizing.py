"""`python -m tests.bench.sizing`: what a night costs at other sizes, from figures that the benchmarks measured.

CPU seconds of the data steps are a line through the two sizes of `make bench data`, those of scoring one through the
sizes of `make bench scoring`. Bytes are those of `make bench erasure` and `make bench query`, per line and per profile.
`--write` puts the tables into docker/README.md; a test compares them with what is there.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.warehouse.names import NIGHT_TABLES

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results")
PAGE = ROOT / "docker" / "README.md"
BEGIN, END = "<!-- sizing: begin -->", "<!-- sizing: end -->"

EVENTS_A_DAY = (1_000_000, 100_000_000, 1_000_000_000)
USERS = (10_000, 1_000_000, 100_000_000)
NIGHT_HOURS = 4.0  # in which a night is to end
USE = 0.6  # share of its cores that a cluster keeps busy: skew, shuffles and single tasks take the rest
FILE_BYTES = 128 << 20  # Iceberg's target for a data file of Spark's writes, packed
KEPT_DAYS = 365  # of landed lines, events, sessions and sequences
PROFILE_DAYS = 90
DRIVER_GIB = 3  # `spark_driver_memory`
GIB_OF_A_CORE = 4
ONE_MACHINE = 16  # cores


@dataclass(frozen=True)
class Measured:
    """Figures of the benchmarks. Lines are CPU seconds at size 0, and per million."""

    data_fixed: float
    data_per_million: float
    score_fixed: float
    score_per_million: float
    bytes_of_line: dict[str, float]
    bytes_of_profile: float


def measured() -> Measured:
    """Return the figures of the last runs of the benchmarks."""
    sizes = _result("data")["sizes"]
    cpu = [sum(step["cpu_seconds"] for step in one["steps"].values()) for one in sizes]
    data = _line([one["lines"] for one in sizes], cpu)
    scored = _result("scoring")["sizes"]
    score = _line([one["users"] for one in scored], [one["cpu_seconds"] for one in scored])
    erased, query = _result("erasure_of_rare_users"), _result("query")
    stored = {name: one["bytes_of_table"] for name, one in erased["receipt"]["tables"].items()}
    tables = {
        "landing": erased["landing_bytes"],
        **{name: stored[name] for name in ("events", "sessions", "sequences")},
    }
    return Measured(
        *data,
        *score,
        {name: size / erased["lines"] for name, size in tables.items()},
        query["parquet_mib"] * 2**20 / query["profiles"],
    )


@dataclass(frozen=True)
class Size:
    """What a night of so many events and scored users needs. Seconds are of CPU; storage is a year's."""

    events: int
    users: int
    data_seconds: float
    score_seconds: float
    cores: int
    memory_gib: int
    gib_a_day: float
    storage_tib: float
    files_a_day: int
    first_limit: str


def size_of(events: int, users: int, by: Measured) -> Size:
    """Return the needs of a night. users: those who come on a day, each of whom gets a profile."""
    data = by.data_fixed + by.data_per_million * events / 1e6
    score = by.score_fixed + by.score_per_million * users / 1e6
    cores = max(2, math.ceil((data + score) / (NIGHT_HOURS * 3600 * USE)))
    of_lines = {name: size * events for name, size in by.bytes_of_line.items()}
    of_profiles = by.bytes_of_profile * users
    files = sum(math.ceil(size / FILE_BYTES) for size in (*of_lines.values(), of_profiles))
    kept = sum(of_lines.values()) * KEPT_DAYS + of_profiles * PROFILE_DAYS
    return Size(
        events,
        users,
        data,
        score,
        cores,
        DRIVER_GIB + GIB_OF_A_CORE * cores,
        (sum(of_lines.values()) + of_profiles) / 2**30,
        kept / 2**40,
        files,
        _first_limit(score, cores),
    )


def _first_limit(score: float, cores: int) -> str:
    """Return what breaks first. By default scoring is one process; see model/scoring.py."""
    if score > NIGHT_HOURS * 3600 / 2:
        return f"scoring: one process takes {score / 3600:.1f} h; set score_parts"
    return f"one machine of {ONE_MACHINE} cores" if cores > ONE_MACHINE else "nothing: one machine is enough"


def tables(by: Measured) -> str:
    """Return the page's tables."""
    figures = [
        ["figure", "value", "measured by"],
        ["---", "---", "---"],
        [
            "clean, sessions, sequences",
            f"{by.data_per_million:.0f} CPU seconds per million events",
            "`make bench data`",
        ],
        ["the same at no events", f"{max(by.data_fixed, 0):.0f} CPU seconds", "`make bench data`"],
        ["scoring by `counts-1`", f"{by.score_per_million:.0f} CPU seconds per million users", "`make bench scoring`"],
        *(
            [f"{name}, stored", f"{size:.0f} bytes per event", "`make bench erasure`"]
            for name, size in by.bytes_of_line.items()
        ),
        ["snapshots", f"{len(NIGHT_TABLES)} a night, one per table", "`pipeline/warehouse/names.py`"],
        ["profiles, stored", f"{by.bytes_of_profile:.0f} bytes per profile", "`make bench query`"],
    ]
    header = ["events a day", "users a day", "CPU hours", "cores", "memory, GiB", "GiB a day", "TiB a year"]
    header += ["files a day", "what breaks first"]
    sizes = [size_of(events, users, by) for events in EVENTS_A_DAY for users in USERS if users <= events]
    rows = [header, ["---"] * len(header), *map(_row, sizes)]
    return f"{_markdown(figures)}\n\n{_markdown(rows)}"


def _row(size: Size) -> list[str]:
    return [
        f"{size.events:,}",
        f"{size.users:,}",
        f"{(size.data_seconds + size.score_seconds) / 3600:.1f}",
        f"{size.cores:,}",
        f"{size.memory_gib:,}",
        f"{size.gib_a_day:,.1f}",
        f"{size.storage_tib:,.1f}",
        f"{size.files_a_day:,}",
        size.first_limit,
    ]


def page_with(text: str, page: str) -> str:
    """Return the page with other tables. Raises ValueError if it has no place for them."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{PAGE}: expected the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _line(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return seconds at size 0 and per million, by least squares; not less than 0."""
    slope, start = np.polyfit(np.array(sizes, float) / 1e6, seconds, 1)
    return max(float(start), 0.0), float(slope)


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docker/README.md")
    found = tables(measured())
    if parser.parse_args().write:
        PAGE.write_text(page_with(found, PAGE.read_text()))
    print(found)


if __name__ == "__main__":
    main()
