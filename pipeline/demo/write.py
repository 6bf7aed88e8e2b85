"""Write the demo's log, its catalogue, and the true interests behind it."""

import gzip
import json
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import numpy as np

from pipeline.demo.actors import truth_records
from pipeline.demo.catalogue import catalogue_lines
from pipeline.demo.log import DemoLog, make_log
from pipeline.demo.noise import BAD_TIME, BROKEN, EXACT, ORIGINAL, OWNERLESS, RESENT, RICHER, SOUND, UNKNOWN_TYPE
from pipeline.demo.plan import DAY_MS, HOUR_MS, DemoPlan, DemoSummary
from pipeline.demo.render import LineRenderer

LATE_MS = HOUR_MS
GZIP_LEVEL = 6


def write_demo_log(folder: Path, plan: DemoPlan, progress: Callable[[int, int], None] | None = None) -> DemoSummary:
    """Write `events-<arrival day>.jsonl[.gz]`, `catalogue.jsonl` and `truth.jsonl` into `folder`; return counts.

    There is one file per arrival day (UTC date of `received`), in order of receipt; even days of the month are gzipped.
    Lines received after the plan's last day are left out. Existing files are overwritten.

    progress: called after each day with the number of days written and of all days.
    """
    log = make_log(plan)
    renderer = LineRenderer(log)
    folder.mkdir(parents=True, exist_ok=True)
    day_of_line = (log.lines.received_ms - plan.start_ms) // DAY_MS
    written_bytes = 0
    for number in range(plan.days):
        chosen = np.flatnonzero(day_of_line == number)
        written_bytes += _write_lines(folder / event_file(plan.day(number)), renderer.texts(chosen))
        if progress:
            progress(number + 1, plan.days)
    catalogue = catalogue_lines(log.catalogue)
    _write_lines(folder / "catalogue.jsonl", catalogue)
    _write_lines(folder / "truth.jsonl", (json.dumps(one) for one in truth_records(plan, log.people, log.bots)))
    return summarize(log, written_bytes, len(catalogue))


def event_file(day: date) -> str:
    """Return the file name of an arrival day."""
    return f"events-{day}.jsonl{'' if day.day % 2 else '.gz'}"


def summarize(log: DemoLog, written_bytes: int, catalogue_line_count: int) -> DemoSummary:
    """Count the lines of a log by kind."""
    lines, touches = log.lines, log.touches
    accepted = lines.take((lines.copy == ORIGINAL) & (lines.fault == SOUND))
    actor = touches.actor[accepted.event]
    is_declared = np.array([*(False for _ in log.people), *(bot.is_declared for bot in log.bots)])
    consents = np.array([one.consents for one in log.actors])
    copies = np.bincount(lines.copy, minlength=RICHER + 1)
    faults = np.bincount(lines.fault, minlength=UNKNOWN_TYPE + 1)
    return DemoSummary(
        files=log.plan.days,
        lines=len(lines),
        bytes=written_bytes,
        events=len(accepted),
        exact_copies=int(copies[EXACT]),
        resent_copies=int(copies[RESENT]),
        richer_copies=int(copies[RICHER]),
        broken_lines=int(faults[BROKEN]),
        ownerless_lines=int(faults[OWNERLESS]),
        bad_times=int(faults[BAD_TIME]),
        unknown_types=int(faults[UNKNOWN_TYPE]),
        late_events=int((accepted.received_ms - accepted.happened_ms > LATE_MS).sum()),
        skewed_events=int(log.skewed[accepted.event].sum()),
        no_consent_events=int((~consents[actor]).sum()),
        declared_bot_events=int(is_declared[actor].sum()),
        undeclared_bot_events=int(((actor >= len(log.people)) & ~is_declared[actor]).sum()),
        people=len(log.people),
        bots=len(log.bots),
        items=len(log.catalogue.titles),
        catalogue_lines=catalogue_line_count,
    )


def _write_lines(file: Path, lines: Iterable[str]) -> int:
    """Write lines, gzipped if the name ends in .gz; return the bytes on disk. The same lines give the same bytes."""
    content = "".join(f"{line}\n" for line in lines).encode()
    with file.open("wb") as raw:
        if file.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=raw, mtime=0) as packed:
                packed.write(content)
        else:
            raw.write(content)
    return file.stat().st_size
