"""A step inside the terminal's process: shown, logged and failing exactly as one in a process of its own."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.errors import ThroughlineError
from pipeline.runner import process
from pipeline.runner.commands import CommandLine
from pipeline.runner.process import StepFailed, can_connect, import_in_background, run_in_process
from pipeline.settings import Settings


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "clean.log"


def run(body: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a module whose `main(words)` has this body; return what was shown."""
    folder = log.parent.parent
    name = f"a_step_{folder.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(f"import sys\ndef main(words):\n    {body}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    command = CommandLine("clean", (), name, ("--day", "2026-01-31"))
    try:
        run_in_process(command, log, Console(width=200))
    finally:
        shown = str(sys.stdout.getvalue())  # type: ignore[attr-defined]
    return shown


def test_output_is_shown_and_log_lines_are_kept(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run("print('words', *words); print('14:00 WARN something', file=sys.stderr)", log, monkeypatch)
    assert "  clean: words --day 2026-01-31\n" in shown and "✓ clean" in shown and "WARN" not in shown
    assert "14:00 WARN something\n" in log.read_text() and "words --day 2026-01-31\n" in log.read_text()


@pytest.mark.parametrize(
    ("body", "exit_code", "reason"),
    [
        ("from pipeline.errors import InputError; raise InputError('half a line')", 1, "half a line"),
        ("raise KeyError('user_id')", 3, "KeyError: 'user_id'"),
        ("print('model: no history', file=sys.stderr); sys.exit(1)", 1, "no history"),
    ],
)
def test_a_failure_passes_on_exit_code_message_and_log_file(
    log: Path, monkeypatch: pytest.MonkeyPatch, body: str, exit_code: int, reason: str
) -> None:
    with pytest.raises(StepFailed) as caught:
        run(body, log, monkeypatch)
    assert caught.value.exit_code == exit_code
    assert caught.value.reason.splitlines() == [reason, f"  step clean, exit code {exit_code}; its log: {log}"]
    assert ("Traceback" in log.read_text()) == (exit_code == 3)


def test_a_good_exit_is_no_failure(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "✓ clean" in run("sys.exit(0)", log, monkeypatch)


def test_a_step_waits_for_the_libraries_that_a_thread_imports_for_it(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "step_with_a_broken_library.py").write_text("def prepare(): import no_such_library\n")
    (tmp_path / "step_with_a_library.py").write_text(
        "import time\nis_ready = False\n"
        "def prepare():\n    global is_ready\n    time.sleep(0.5)\n    is_ready = True\n"
        "def main(words):\n    print('ready', is_ready)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import_in_background(["step_with_a_broken_library", "step_with_a_library"])
    run_in_process(CommandLine("score", (), "step_with_a_library"), log, Console(width=200))
    assert "ready True" in log.read_text()


@pytest.mark.parametrize(
    ("settings", "connects"),
    [
        ({"spark_engine": "submit"}, False),
        ({"spark_engine": "sc://host:15002"}, True),
        ({"spark_master": "spark://host:7077"}, False),
    ],
)
def test_the_settings_choose_what_runs_jobs(tmp_path: Path, settings: dict[str, str], connects: bool) -> None:
    assert can_connect(Settings(home=tmp_path, **settings)) is connects  # type: ignore[arg-type]
    assert not (tmp_path / "engine").exists()


def test_without_an_engine_jobs_run_by_spark_submit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise ThroughlineError("the Spark engine did not start: no memory")

    monkeypatch.setattr(process, "start_engine", fails)
    assert can_connect(Settings(home=tmp_path)) is False
    assert (
        "warning: the Spark engine did not start: no memory; each job starts its own Spark" in capsys.readouterr().err
    )
