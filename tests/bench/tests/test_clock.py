"""The clock of `make bench growth`: it moves for programs that run, and dates what they write."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bench.clock import Clock, why_no_clock

TELL_TIME = "import sys, time\nfor _ in sys.stdin: print(time.time(), flush=True)"


@pytest.mark.skipif(bool(why_no_clock()), reason=str(why_no_clock()))
def test_a_clock_moves_under_a_running_program_and_dates_its_files(tmp_path: Path) -> None:
    first, second = datetime(2026, 1, 5, 3, tzinfo=UTC), datetime(2026, 2, 6, 20, tzinfo=UTC)
    clock, home = Clock(tmp_path / "clock", first), tmp_path / "home"
    home.mkdir()
    (home / "before").touch()
    os.utime(home / "before", (1, 1))
    program = subprocess.Popen(
        [sys.executable, "-c", TELL_TIME],
        env={**os.environ, **clock.variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def time_there() -> float:
        assert program.stdin and program.stdout
        print(file=program.stdin, flush=True)
        return float(program.stdout.readline())

    try:
        assert time_there() == pytest.approx(first.timestamp(), abs=30)
        with clock.at(second, home):
            (home / "written").touch()
            assert time_there() == pytest.approx(second.timestamp(), abs=30)
    finally:
        program.kill()
        program.wait()
    assert (home / "written").stat().st_mtime == pytest.approx(second.timestamp(), abs=30)
    assert (home / "before").stat().st_mtime == 1
