"""Faults around a night: a full disk, a clock that is ahead, a killed scheduler, a catalog that answers 503."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from pipeline.days import DayRange
from pipeline.local.airflow_client import AirflowApi
from pipeline.local.airflow_config import airflow_home
from tests.bench.chaos.breaking import Outcome
from tests.bench.chaos.gateway import Gateway, Outage, gateway_before
from tests.bench.chaos.home import ChaosHome, Readers
from tests.bench.chaos.points import COMMITS_BEFORE, READERS
from tests.bench.clock import Clock, why_no_clock
from tests.bench.tiny_homes import tiny_home
from tests.bench.tiny_log import days_from, write_tiny_log
from tests.remote_stack import free_port, rest_catalog
from tests.waiting import wait_until

FIRST_DAY = date(2026, 1, 5)
HISTORY_DAYS = 3
DISK_MIB = 600
LEFT_KIB = 200  # enough for the first files of a night and too little for the last
AHEAD = timedelta(days=3)
NIGHTLY = "interest_nightly"
RUN_SECONDS = 1200.0  # Airflow sees after five minutes that a task is dead
# Iceberg's client repeats no commit that was answered 503, since it may have happened: the step fails, exit code 3, and
# Airflow, or whoever sits at the terminal, repeats it.
OUTAGES = {
    "503 of the catalog, for two requests in publish": (Outage(COMMITS_BEFORE["publish"] + 1, requests=2), (0, 3)),
    "503 of the catalog, from commit 2 of sessions on": (Outage(COMMITS_BEFORE["sessions"] + 2), (3,)),
    "503 of the catalog, from commit 9 of publish on": (Outage(COMMITS_BEFORE["publish"] + 9), (3,)),
    "503 of the catalog, though commit 6 of clean happens": (Outage(6, requests=1, is_late=True), (0, 3)),
}


def disk_full(name: str) -> Iterator[Outcome]:
    """A night on a small disk of its own that fills up; then there is room again."""
    with TemporaryDirectory(prefix="throughline-chaos-") as folder:
        mounted = Path(folder) / "disk"
        mounted.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(mounted)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            yield Outcome(name, "", 0, 0.0, 0, ["not run: only root can mount a small disk"])
            return
        try:
            with _published(mounted / "home") as (home, day), _twin(Path(folder), home, day) as twin:
                before = home.counts()
                filler = mounted / "filler"
                with filler.open("wb") as file:
                    free = shutil.disk_usage(mounted).free - (LEFT_KIB << 10)
                    os.posix_fallocate(file.fileno(), 0, free)
                exit_code, printed = home.start("run", "--day", str(day)).end()
                faults = _faults(exit_code, 3, printed, "is a disk full")
                filler.unlink()
                faults += [] if home.counts() == before else ["a reader saw another release"]
                yield _again(name, home, twin, day, exit_code, faults)
        finally:
            subprocess.run(["umount", str(mounted)], check=False)


def clock_ahead(name: str) -> Iterator[Outcome]:
    """A night three days ahead of the clock; the same command by the true clock is refused until then, and says so."""
    if reason := why_no_clock():
        yield Outcome(name, "", 0, 0.0, 0, [f"not run: {reason}"])
        return
    with (
        TemporaryDirectory(prefix="throughline-chaos-", ignore_cleanup_errors=True) as folder,
        _published(Path(folder) / "home") as (home, day),
        _twin(Path(folder), home, day) as twin,
    ):
        ahead = Clock(Path(folder) / "clock", datetime.now(UTC) + AHEAD).variables
        home.start("down").end()
        night = ["run", "--day", str(day)]
        exit_code, printed = home.start(*night, **ahead).end()
        faults = _faults(exit_code, 0, printed, "published")
        home.start("down").end()
        refused, said = home.start(*night).end()
        faults += _faults(refused, 3, said, "by a clock that was ahead")
        home.start("down").end()
        yield _again(name, home, twin, day, refused, faults, **ahead)


def scheduler_killed(name: str) -> Iterator[Outcome]:
    """A night under Airflow whose scheduler is killed during `sessions`; `up` starts another, and the night ends."""
    with (
        TemporaryDirectory(prefix="throughline-chaos-", ignore_cleanup_errors=True) as folder,
        _published(Path(folder) / "home", THROUGHLINE_AIRFLOW_PORT=str(free_port())) as (home, day),
        _twin(Path(folder), home, day) as twin,
    ):
        readers, before = Readers(home, READERS), home.counts()
        with readers.polling():
            home.do("up")
            api = AirflowApi(home.settings)
            api.unpause(NIGHTLY)
            [run_id] = api.backfill(NIGHTLY, DayRange(day, day))
            wait_until(lambda: api.task_states(NIGHTLY, run_id).get("sessions") == "running", RUN_SECONDS)
            scheduler = airflow_home(home.settings) / "processes" / "scheduler.json"
            psutil.Process(json.loads(scheduler.read_text())["pid"]).kill()
            began = time.monotonic()
            exit_code, printed = home.start("up").end()
            faults = _faults(exit_code, 0, printed, "Airflow is up")
            wait_until(lambda: api.run_state(NIGHTLY, run_id) in ("success", "failed"), RUN_SECONDS)
            seconds = time.monotonic() - began
        if api.run_state(NIGHTLY, run_id) != "success":
            faults.append(f"the run failed: {api.task_states(NIGHTLY, run_id)}")
        home.do("down")
        faults += home.orphans()
        home.do("setup")
        faults += [*readers.saw_other_than(before, home.counts()), *home.leftovers(), *_differences(home, twin)]
        yield Outcome(name, "", exit_code, round(seconds, 1), len(readers.seen), faults)


def catalog_unavailable(name: str) -> Iterator[Outcome]:
    """Nights on a remote catalog behind a gateway that answers 503; what failed runs again when the catalog is back."""
    with TemporaryDirectory(prefix="throughline-chaos-", ignore_cleanup_errors=True) as text:
        folder, port = Path(text), free_port()
        warehouse = f"file://{folder}/warehouse"
        with rest_catalog(folder, port, warehouse), gateway_before(port) as gateway:
            catalog = {"type": "rest", "uri": f"http://127.0.0.1:{gateway.port}", "warehouse": warehouse}
            nights = len(OUTAGES)
            with (
                _published(folder / "home", nights, THROUGHLINE_CATALOG=json.dumps(catalog)) as (home, first),
                _twin(folder, home, days_from(first, nights)[-1]) as twin,
            ):
                for day, (what, (outage, exit_codes)) in zip(days_from(first, nights), OUTAGES.items(), strict=True):
                    yield _night_of_outage(what, home, twin, day, gateway, outage, exit_codes)


def _night_of_outage(
    name: str,
    home: ChaosHome,
    twin: ChaosHome,
    day: date,
    gateway: Gateway,
    outage: Outage,
    exit_codes: tuple[int, ...],
) -> Outcome:
    before = home.counts()
    gateway.outage = outage
    exit_code, printed = home.start("run", "--day", str(day)).end()
    gateway.outage = Outage()
    faults = [] if outage.refused else ["the point was not reached"]
    faults += [] if exit_code in exit_codes else [f"exit code {exit_code}, expected {exit_codes}: {printed[-600:]}"]
    faults += [f"Traceback: {printed[-900:]}"] if "Traceback" in printed else []
    seconds = 0.0
    if exit_code:
        faults += [] if home.counts() == before else ["a reader saw another release"]
        seconds, of_repeated = _repeated(home, day)
        faults += of_repeated
    faults += [*home.leftovers(), *_differences(home, twin, day)]
    return Outcome(name, "", exit_code, round(seconds, 1), 0, faults)


@contextmanager
def _published(folder: Path, nights: int = 1, **variables: str) -> Iterator[tuple[ChaosHome, date]]:
    """Make a home that has published a history, and yield it with the first of so many nights that have landed."""
    days = days_from(FIRST_DAY, HISTORY_DAYS + nights)
    log = folder.parent / "log"
    log.mkdir(exist_ok=True)
    write_tiny_log(log, days)
    with tiny_home(folder, **variables) as home:
        history = ["run", "--from", str(FIRST_DAY), "--to", str(days[HISTORY_DAYS - 1])]
        home.do_all([["land", "--source", "demo", str(log)], history])
        yield home, days[HISTORY_DAYS]


@contextmanager
def _twin(folder: Path, home: ChaosHome, last: date) -> Iterator[ChaosHome]:
    """Make an undisturbed twin that has published all days up to the last."""
    log = home.home.parent / "log"
    with tiny_home(folder / "twin", engine_home=home.home) as twin:
        twin.do_all([["land", "--source", "demo", str(log)], ["run", "--from", str(FIRST_DAY), "--to", str(last)]])
        yield twin


def _again(
    name: str, home: ChaosHome, twin: ChaosHome, day: date, exit_code: int, faults: list[str], **variables: str
) -> Outcome:
    seconds, of_repeated = _repeated(home, day, **variables)
    faults = [*faults, *of_repeated, *home.leftovers(), *_differences(home, twin)]
    return Outcome(name, "", exit_code, round(seconds, 1), 0, faults)


def _repeated(home: ChaosHome, day: date, **variables: str) -> tuple[float, list[str]]:
    """Run a night that failed again; return its seconds and its faults."""
    began = time.monotonic()
    exit_code, printed = home.start("run", "--day", str(day), **variables).end()
    return time.monotonic() - began, _faults(exit_code, 0, printed, "published")


def _differences(home: ChaosHome, twin: ChaosHome, day: date | None = None) -> list[str]:
    found, expected = home.fingerprints(day), twin.fingerprints(day)
    return [f"{one} differs from the twin" for one in found if found[one] != expected[one]]


def _faults(exit_code: int, expected: int, printed: str, words: str) -> list[str]:
    if exit_code != expected:
        return [f"exit code {exit_code}, expected {expected}: {printed[-600:]}"]
    if "Traceback" in printed or words not in printed:
        return [f"expected the words {words!r}: {printed[-900:]}"]
    return []


SURROUNDINGS: Mapping[str, Callable[[str], Iterator[Outcome]]] = {
    "the disk fills up in a night": disk_full,
    "the clock is three days ahead": clock_ahead,
    "the scheduler is killed in a night": scheduler_killed,
    "503 of the catalog": catalog_unavailable,
}
