"""Background processes: found by another process, stopped with their descendants, never confused with others."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline.local import processes
from pipeline.local.processes import Background, has_ended, process_token, stop
from tests.waiting import wait_until

PARENT_AND_CHILD = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session={apart})
print("both are up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def background(tmp_path: Path) -> Background:
    return Background("worker", tmp_path / "processes" / "worker.json", tmp_path / "logs" / "worker.log")


def start(background: Background, program: str) -> psutil.Process:
    background.start([sys.executable, "-c", program], os.environ)
    found = background.find()
    assert found is not None
    return found


def wait_for_output(background: Background, word: str) -> None:
    wait_until(lambda: word in background.last_lines(), 30, every=0.05)


@pytest.mark.parametrize("apart", [False, True], ids=["child in the group", "child in a group of its own"])
def test_a_process_is_stopped_with_its_children(background: Background, apart: bool) -> None:
    parent = start(background, PARENT_AND_CHILD.format(apart=apart))
    wait_for_output(background, "both are up")
    [child] = parent.children()
    assert os.getpgid(parent.pid) == parent.pid != os.getpgid(os.getpid())
    began = time.monotonic()
    assert stop([background]) == ["worker"]
    assert time.monotonic() - began < processes.STOP_SECONDS, "both ended by the signal"
    psutil.wait_procs([parent, child], timeout=10)
    assert not child.is_running() and background.find() is None
    assert stop([background]) == []


def test_a_process_that_ignores_the_signal_is_killed(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 1.0)
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    deaf = start(background, program + "; time.sleep(600)")
    wait_for_output(background, "deaf")
    assert stop([background]) == ["worker"]
    assert not deaf.is_running() or deaf.status() == psutil.STATUS_ZOMBIE


def test_children_that_outlive_a_killed_process_are_stopped_and_others_of_its_number_are_not(
    background: Background,
) -> None:
    parent = start(background, PARENT_AND_CHILD.format(apart=False))
    wait_for_output(background, "both are up")
    [child] = parent.children()
    parent.kill()
    parent.wait()
    assert background.find() is None and background.family() == [child]
    other = replace(background, log=background.log.with_name("other.log"))
    assert other.family() == [], "no process of this group writes to its log"
    assert stop([background]) == ["worker"]
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_another_process_with_the_same_id_is_left_alone(background: Background) -> None:
    background.record.parent.mkdir(parents=True)
    background.record.write_text(json.dumps({"pid": os.getpid(), "began_at": 1.0}))
    assert background.find() is None
    assert stop([background]) == []


@pytest.fixture
def step_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time at which the machine started, which psutil adds to all start times, move by three days.

    Linux computes it from the clock, so that a step of the clock moves it.
    """
    if not Path("/proc/self/stat").is_file():
        pytest.skip("only Linux tells when a process started without its clock")
    before = psutil.Process().create_time()
    boot = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot - 3 * 86_400)
    assert psutil.Process().create_time() < before - 86_400, "else the test shows nothing"


def test_a_process_is_found_after_a_step_of_the_clock(background: Background, request: pytest.FixtureRequest) -> None:
    process = start(background, "import time; time.sleep(600)")
    request.getfixturevalue("step_of_the_clock")
    found = background.find()
    assert found and found.pid == process.pid
    assert stop([background]) == ["worker"]


def test_a_living_process_has_not_ended_after_a_step_of_the_clock(request: pytest.FixtureRequest) -> None:
    token = process_token()
    request.getfixturevalue("step_of_the_clock")
    assert not has_ended(token)


def test_the_record_of_an_older_version_is_read(background: Background) -> None:
    process = start(background, "import time; time.sleep(600)")
    background.record.write_text(json.dumps({"pid": process.pid, "began_at": process.create_time()}))
    assert stop([background]) == ["worker"]


def test_the_last_lines_of_an_ended_process_are_kept(background: Background) -> None:
    background.start(
        [sys.executable, "-c", "print('one'); print('two'); print('three'); print('port taken')"], os.environ
    )
    wait_for_output(background, "port taken")
    wait_until(lambda: not background.find(), 30, every=0.05)
    assert background.last_lines() == "two / three / port taken"
