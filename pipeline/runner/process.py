"""Run a command line as a process, show its progress, and report why it failed."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.errors import MESSAGE_PREFIXES, ThroughlineError
from pipeline.runner.commands import CommandLine


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
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    log.unlink(missing_ok=True)
    printed: list[str] = []
    # Opened to append, since first the process and then this one write to it.
    with log.open("a", encoding="utf-8") as log_file, _spinner(command.label, console):
        process = subprocess.Popen(
            command.arguments,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                printed.append(line)
                console.print(f"  {command.label}: {line.rstrip()}", highlight=False, markup=False, soft_wrap=True)
            exit_code = process.wait()
            log_file.writelines(printed)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)
    if exit_code < 0:
        reason = f"killed by signal {-exit_code}; did it run out of memory?\n  step {command.label}; its log: {log}"
        raise StepFailed(ThroughlineError.exit_code, reason)
    if exit_code != 0:
        raise StepFailed(exit_code, f"{message_in(log)}\n  step {command.label}, exit code {exit_code}; its log: {log}")
    console.print(f"[green]✓[/] {command.label} [dim]{time.monotonic() - started:.0f} s[/]", highlight=False)


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
