"""A step as a process: its output is shown and logged, and its error message is passed on."""

import io
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from pipeline.runner.commands import CommandLine
from pipeline.runner.process import StepFailed, message_in, run_command


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "2026-01-31" / "clean.log"


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), width=200)


def shown(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def run(program: str, log: Path, screen: Console) -> None:
    run_command(CommandLine("clean", (sys.executable, "-c", program)), os.environ, log, screen)


def test_output_is_shown_and_log_lines_are_kept(log: Path, screen: Console) -> None:
    run("import sys; print('3 lines [in]'); print('14:00 WARN something', file=sys.stderr)", log, screen)
    assert "  clean: 3 lines [in]\n" in shown(screen)
    assert "✓ clean" in shown(screen) and "WARN" not in shown(screen)
    assert "14:00 WARN something\n" in log.read_text()


def test_a_failed_step_passes_on_exit_code_message_and_log_file(log: Path, screen: Console) -> None:
    program = """
import subprocess
import sys
print('14:00 WARN chatter', file=sys.stderr)
print('throughline: events: 1 broken of 7 rules', file=sys.stderr)
print('  unique(line): 2 of 9 rows. a replay must not double', file=sys.stderr)
print('14:01 WARN more chatter', file=sys.stderr)
sys.exit(1)
"""
    with pytest.raises(StepFailed) as caught:
        run(program, log, screen)
    assert caught.value.exit_code == 1
    assert caught.value.reason.splitlines() == [
        "events: 1 broken of 7 rules",
        "  unique(line): 2 of 9 rows. a replay must not double",
        f"  step clean, exit code 1; its log: {log}",
    ]
    assert "more chatter" in log.read_text() and "✓" not in shown(screen)


@pytest.mark.parametrize("exit_code", [1, 2, 3, 9])
def test_the_exit_code_is_kept(log: Path, screen: Console, exit_code: int) -> None:
    with pytest.raises(StepFailed) as caught:
        run(f"raise SystemExit({exit_code})", log, screen)
    assert caught.value.exit_code == exit_code
    assert f"exit code {exit_code}" in caught.value.reason


def test_a_step_gets_its_environment_and_an_empty_input(log: Path, screen: Console) -> None:
    program = "import os, sys; print(os.environ['DAY'], repr(sys.stdin.read()))"
    run_command(CommandLine("clean", (sys.executable, "-c", program)), {"DAY": "2026-01-31"}, log, screen)
    assert "clean: 2026-01-31 ''" in shown(screen)


def test_a_second_run_replaces_the_log(log: Path, screen: Console) -> None:
    run("import sys; print('first', file=sys.stderr)", log, screen)
    run("import sys; print('second', file=sys.stderr)", log, screen)
    assert log.read_text() == "second\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["throughline: no lines"], "no lines"),
        (["WARN a", "throughline: no lines", "WARN b"], "no lines"),
        (["throughline: two broken", "  first rule", "  second rule", "WARN b", "  of Spark"],
         "two broken\n  first rule\n  second rule"),
        (["throughline: KeyError: x", "Traceback (most recent call last):", '  File "a.py", line 1'], "KeyError: x"),
        (["throughline: KeyError: x", '  File "a.py", line 1'], "KeyError: x"),
        (["throughline: lease lost, trying again", "throughline: no lines"], "no lines"),
        (["WARN a", "java.lang.OutOfMemoryError: heap  "], "java.lang.OutOfMemoryError: heap"),
        ([], "no message"),
    ],
    ids=["alone", "among chatter", "indented lines", "traceback", "stack", "the last", "none: last line", "empty log"],
)  # fmt: skip
def test_the_error_message_is_found_in_the_log(tmp_path: Path, lines: list[str], message: str) -> None:
    file = tmp_path / "step.log"
    file.write_text("\n".join(lines))
    assert message_in(file) == message


def test_a_log_with_invalid_bytes_is_read(tmp_path: Path) -> None:
    file = tmp_path / "step.log"
    file.write_bytes(b"\xff\xfe\nthroughline: no lines\n")
    assert message_in(file) == "no lines"


def test_the_error_message_of_a_model_is_found(tmp_path: Path) -> None:
    file = tmp_path / "score.log"
    file.write_text("model: ValueError: no such tag\n\nTraceback (most recent call last):\nValueError: no such tag\n")
    assert message_in(file) == "ValueError: no such tag"


TERMINATED = """
import subprocess
import sys
from pathlib import Path
from rich.console import Console
from pipeline.errors import exit_with_message
from pipeline.runner.commands import CommandLine
from pipeline.runner.process import run_command

child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
child += "print('started', flush=True); time.sleep(60)"
with exit_with_message():
    try:
        run_command(CommandLine("child", (sys.executable, "-c", child)), {}, Path(sys.argv[1]), Console(width=200))
    finally:
        print("lease freed", flush=True)
"""


def test_sigterm_ends_a_command_with_all_that_it_started(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TERMINATED, str(tmp_path / "child.log")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "  child: started\n"
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (143, "lease freed\n")
    assert (
        err
        == "throughline: ended by SIGTERM; what was not published is not visible, and the same command starts again\n"
    )
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_a_command_that_is_killed_takes_with_it_what_it_started(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TERMINATED, str(tmp_path / "child.log")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "  child: started\n"
        [child] = psutil.Process(process.pid).children()
        process.kill()
        process.communicate(timeout=30)
    assert psutil.wait_procs([child], timeout=10)[1] == []
