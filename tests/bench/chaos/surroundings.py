"""Faults of the machine around a night: a disk that is full, a clock that is days ahead."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.chaos.breaking import Outcome
from tests.bench.chaos.home import ChaosHome
from tests.bench.tiny_homes import tiny_home
from tests.bench.tiny_log import days_from, write_tiny_log

DAYS = days_from(date(2026, 1, 5), 4)
DISK_MIB = 600
LEFT_KIB = 200  # enough for the first files of a night and too little for the last
AHEAD_SECONDS = 3 * 86_400
CLOCK = Path(__file__).with_name("clock.c")


def disk_full(name: str) -> Outcome:
    """A night on a small disk of its own that fills up; then there is room again."""
    with TemporaryDirectory(prefix="throughline-chaos-") as folder:
        mounted = Path(folder) / "disk"
        mounted.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(mounted)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return Outcome(name, "", 0, 0.0, 0, ["not run: only root can mount a small disk"])
        try:
            with _published(mounted / "home") as home, _twin(Path(folder), home) as twin:
                before = home.counts()
                filler = mounted / "filler"
                with filler.open("wb") as file:
                    free = shutil.disk_usage(mounted).free - (LEFT_KIB << 10)
                    os.posix_fallocate(file.fileno(), 0, free)
                exit_code, printed = home.start("run", "--day", str(DAYS[-1])).end()
                faults = _faults(exit_code, 3, printed, "is a disk full")
                filler.unlink()
                faults += [] if home.counts() == before else ["a reader saw another release"]
                return _again(name, home, twin, exit_code, faults)
        finally:
            subprocess.run(["umount", str(mounted)], check=False)


def clock_ahead(name: str) -> Outcome:
    """A night three days ahead of the clock; the same command by the true clock is refused until then, and says so."""
    if not shutil.which("cc"):
        return Outcome(name, "", 0, 0.0, 0, ["not run: no C compiler"])
    with (
        TemporaryDirectory(prefix="throughline-chaos-", ignore_cleanup_errors=True) as folder,
        _published(Path(folder) / "home") as home,
        _twin(Path(folder), home) as twin,
    ):
        ahead = compile_clock(Path(folder), AHEAD_SECONDS)
        home.start("down").end()
        night = ["run", "--day", str(DAYS[-1])]
        exit_code, printed = home.start(*night, **ahead).end()
        faults = _faults(exit_code, 0, printed, "published")
        home.start("down").end()
        refused, said = home.start(*night).end()
        faults += _faults(refused, 3, said, "by a clock that was ahead")
        home.start("down").end()
        return _again(name, home, twin, refused, faults, **ahead)


def compile_clock(folder: Path, ahead_seconds: int) -> dict[str, str]:
    """Return the variables by which a program and those that it starts have a clock that is ahead."""
    library = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(CLOCK), "-ldl"], check=True)
    for path, mode in ((library, 0o755), (folder, 0o711)):  # the account of PostgreSQL loads it, too
        path.chmod(mode)
    return {"LD_PRELOAD": str(library), "CLOCK_AHEAD_SECONDS": str(ahead_seconds)}


@contextmanager
def _published(folder: Path) -> Iterator[ChaosHome]:
    """Make a home that has published all days but the last, which has landed."""
    log = folder.parent / "log"
    log.mkdir(exist_ok=True)
    write_tiny_log(log, DAYS)
    with tiny_home(folder) as home:
        home.do_all([["land", "--source", "demo", str(log)], ["run", "--from", str(DAYS[0]), "--to", str(DAYS[-2])]])
        yield home


@contextmanager
def _twin(folder: Path, home: ChaosHome) -> Iterator[ChaosHome]:
    """Make an undisturbed twin that has published all days."""
    log = home.home.parent / "log"
    with tiny_home(folder / "twin", engine_home=home.home) as twin:
        twin.do_all([["land", "--source", "demo", str(log)], ["run", "--from", str(DAYS[0]), "--to", str(DAYS[-1])]])
        yield twin


def _again(name: str, home: ChaosHome, twin: ChaosHome, exit_code: int, faults: list[str], **ahead: str) -> Outcome:
    began = time.monotonic()
    repeated, printed = home.start("run", "--day", str(DAYS[-1]), **ahead).end()
    seconds = time.monotonic() - began
    faults = [*faults, *_faults(repeated, 0, printed, "published"), *home.leftovers()]
    found, expected = home.fingerprints(), twin.fingerprints()
    faults += [f"{one} differs from the twin" for one in found if found[one] != expected[one]]
    return Outcome(name, "", exit_code, round(seconds, 1), 0, faults)


def _faults(exit_code: int, expected: int, printed: str, words: str) -> list[str]:
    if exit_code != expected:
        return [f"exit code {exit_code}, expected {expected}: {printed[-600:]}"]
    if "Traceback" in printed or words not in printed:
        return [f"expected the words {words!r}: {printed[-900:]}"]
    return []


SURROUNDINGS: Mapping[str, Callable[[str], Outcome]] = {
    "the disk fills up in a night": disk_full,
    "the clock is three days ahead": clock_ahead,
}
