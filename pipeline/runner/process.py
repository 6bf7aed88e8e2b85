"""Run a command as a process or inside this one, show its progress, and report why it failed."""

import importlib
import io
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.errors import MESSAGE_PREFIXES, ThroughlineError, describe
from pipeline.local.engine import start_engine
from pipeline.local.processes import end_group, ends_with_parent
from pipeline.local.spark_config import is_one_machine
from pipeline.runner.commands import CommandLine, step_environment
from pipeline.settings import Settings

SESSION = "pyspark.sql.connect.session"
PREPARE = "prepare"  # the function of a module that imports the libraries that its `main` will need
IMPORTS = "imports"  # the name of the thread that calls it


def can_connect(settings: Settings) -> bool:
    """Return whether jobs run as clients of a Spark Connect server; start the warm engine if it is that one.

    If it does not start, jobs run by spark-submit, which is slower; a warning says why.
    """
    if settings.spark_engine != "warm":
        return settings.spark_engine.startswith("sc://")
    if not is_one_machine(settings):
        return False
    try:
        start_engine(settings, step_environment(settings))
    except ThroughlineError as error:
        print(f"warning: {error}; each job starts its own Spark instead, which is slower", file=sys.stderr, flush=True)
        return False
    return True


def run_module(module: str, words: Sequence[str]) -> None:
    """Run the function `main` of a module in this process."""
    importlib.import_module(module).main(words)


def import_in_background(modules: Sequence[str]) -> None:
    """Call the functions `prepare` of modules in a thread: libraries of models and gates take seconds to import, in
    which Spark works elsewhere.

    What this thread shares with them is imported before, so that no two threads import one library at a time.
    """
    for shared in (SESSION, *(module for module in modules if module.startswith("pipeline."))):
        importlib.import_module(shared)

    def work() -> None:
        for module in modules:
            with suppress(Exception):  # what is wrong stops `main`, which says so
                getattr(importlib.import_module(module), PREPARE, lambda: None)()

    threading.Thread(target=work, daemon=True, name=IMPORTS).start()


class StepFailed(Exception):
    """A process ended with an exit code other than 0. reason: the error message that it printed."""

    def __init__(self, exit_code: int, reason: str) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
        self.reason = reason


def run_command(command: CommandLine, environment: Mapping[str, str], log: Path, console: Console) -> None:
    """Run one process to its end. Its standard output goes to the console, its standard error to `log`.

    Raises StepFailed with the exit code and the error message of the process.
    """
    printed: list[str] = []
    with _timed(command, log, console) as log_file:
        process = subprocess.Popen(
            command.arguments,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
            start_new_session=True,
            preexec_fn=ends_with_parent(),
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                printed.append(line)
                _print_line(command, line, console)
            exit_code = process.wait()
            log_file.writelines(printed)
        finally:
            if process.poll() is None:
                end_group(process)
        if exit_code < 0:
            reason = f"killed by signal {-exit_code}; did it run out of memory?\n  step {command.label}; its log: {log}"
            raise StepFailed(ThroughlineError.exit_code, reason)
        if exit_code != 0:
            log_file.flush()
            raise _failed(command, exit_code, message_in(log), log)


def run_in_process(command: CommandLine, log: Path, console: Console) -> None:
    """Run a command that has a module inside this process. What it prints goes where `run_command` lets it go.

    Raises StepFailed with the exit code and the error message of the command.
    """
    with _timed(command, log, console) as log_file:
        terminal = sys.stdout

        def print_line(line: str) -> None:
            with redirect_stdout(terminal):  # the console prints to what is standard output at the moment
                _print_line(command, line, console)

        printed = _Lines(print_line, log_file)
        try:
            with redirect_stdout(printed), redirect_stderr(log_file):
                _wait_for_imports(command.module)
                run_module(command.module, command.words)
        except ThroughlineError as error:
            raise _failed(command, error.exit_code, str(error), log) from None
        except SystemExit as ended:
            if ended.code:
                log_file.flush()
                raise _failed(command, int(ended.code), message_in(log), log) from None
        except Exception as unexpected:  # gets the exit code that a process of its own would end with
            traceback.print_exc(file=log_file)
            raise _failed(command, ThroughlineError.exit_code, describe(unexpected), log) from None


def _wait_for_imports(module: str) -> None:
    """Wait until `import_in_background` has imported what a module needs: of two threads that import one library at a
    time, one may see half of it.
    """
    if hasattr(importlib.import_module(module), PREPARE):
        for thread in threading.enumerate():
            if thread.name == IMPORTS:
                thread.join()


class _Lines(io.TextIOBase):
    """A text stream that hands each whole line to a function and copies it to a file."""

    def __init__(self, print_line: Callable[[str], None], copy: TextIO) -> None:
        self._print_line = print_line
        self._copy = copy
        self._rest = ""

    def write(self, text: str) -> int:
        """Take a part of the output."""
        self._copy.write(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._print_line(line)
        return len(text)


@contextmanager
def _timed(command: CommandLine, log: Path, console: Console) -> Iterator[TextIO]:
    """Open the log of a command, show that it runs, and print its seconds at a good end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    started = time.monotonic()
    # Opened to append, since a process and this one write to it.
    with log.open("a", encoding="utf-8") as log_file, _spinner(command.label, console):
        yield log_file
    seconds = time.monotonic() - started
    console.print(f"[green]✓[/] {command.label} [dim]{seconds:.0f} s[/]", highlight=False, markup=True)


def _print_line(command: CommandLine, line: str, console: Console) -> None:
    console.print(f"  {command.label}: {line.rstrip()}", highlight=False, markup=False, soft_wrap=True)


def _failed(command: CommandLine, exit_code: int, reason: str, log: Path) -> StepFailed:
    return StepFailed(exit_code, f"{reason}\n  step {command.label}, exit code {exit_code}; its log: {log}")


def _spinner(label: str, console: Console) -> Progress:
    """Show the label and the time passed on a terminal; show nothing in a file or pipe."""
    columns = (SpinnerColumn(), TextColumn(label), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task(label, total=None)
    return progress


def message_in(log: Path) -> str:
    """Return the last error message in a step's log, else its last line.

    A message is the text after `throughline: ` or `model: `, with the indented lines that follow.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(MESSAGE_PREFIXES)]
    if not starts:
        return (lines[-1] if lines else "no message").strip()
    message = [lines[starts[-1]].split(": ", 1)[1]]
    for line in lines[starts[-1] + 1 :]:
        if not line.startswith("  ") or line.startswith("  File "):
            break
        message.append(line)
    return "\n".join(message)
