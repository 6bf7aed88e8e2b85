"""The progress of a training: speed, time left, and plain lines for the console."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console

PLAIN_SECONDS = 10.0  # between two plain lines


@dataclass(frozen=True)
class Progress:
    """The state of a training after a step."""

    step: int
    steps: int  # expected over all epochs; the true number may differ by one or two
    loss: float
    events_per_second: float = 0.0  # since this process began
    seconds_left: float = 0.0

    @property
    def line(self) -> str:
        minutes, seconds = divmod(round(self.seconds_left), 60)
        left = f"{minutes}:{seconds:02d} left"
        return f"step {self.step} of {self.steps}, loss {self.loss:.4f}, {self.events_per_second:,.0f} events/s, {left}"


StepCallback = Callable[[Progress], None]


def no_progress(progress: Progress) -> None:
    """Ignore the progress."""


@dataclass
class Meter:
    """Measures the speed of a training in this process."""

    first_step: int
    steps: int
    clock: Callable[[], float] = time.monotonic
    events: int = 0
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.clock()

    def progress(self, step: int, loss: float, events: int) -> Progress:
        """Count the events of a step and return the progress after it."""
        self.events += events
        seconds = max(self.clock() - self.started_at, 1e-9)
        per_step = seconds / (step - self.first_step)
        return Progress(step, self.steps, loss, self.events / seconds, max(0, self.steps - step) * per_step)


def plain_lines(console: Console, plain_seconds: float = PLAIN_SECONDS) -> StepCallback:
    """Return a callback that prints a line at most every `plain_seconds`."""
    printed_at = time.monotonic()

    def print_line(progress: Progress) -> None:
        nonlocal printed_at
        if time.monotonic() - printed_at >= plain_seconds:
            printed_at = time.monotonic()
            console.print(progress.line, soft_wrap=True)

    return print_line
