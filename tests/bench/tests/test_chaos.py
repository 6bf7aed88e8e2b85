"""The means of `make chaos`: a clock that is ahead."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.chaos.surroundings import compile_clock

WAITS = """
import subprocess, threading, time
began = time.monotonic()
threading.Event().wait(0.1)
subprocess.Popen(["sleep", "0.1"]).wait(5)
print(time.time(), time.monotonic() - began)
"""


def test_a_clock_that_is_ahead_lets_no_wait_be_longer(tmp_path: Path) -> None:
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    variables = {**os.environ, **compile_clock(tmp_path, ahead_seconds=3 * 86_400)}
    done = subprocess.run([sys.executable, "-c", WAITS], env=variables, capture_output=True, text=True, timeout=60)
    now, waited = map(float, done.stdout.split())
    assert now - time.time() == pytest.approx(3 * 86_400, abs=60)
    assert 0.2 <= waited < 30
