"""How far a training is, told on the terminal: a bar, or plain lines where nobody watches it being drawn."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

PLAIN_SECONDS = 10.0  # between two plain lines


@dataclass(frozen=True)
class Progress:
    """Where a training stands."""

    step: int
    steps: int  # expected over all epochs; another mixture may make it one or two more or less
    loss: float
    events_per_second: float = 0.0  # since this process began
    seconds_left: float = 0.0

    @property
    def line(self) -> str:
        minutes, seconds = divmod(round(self.seconds_left), 60)
        left = f"{minutes}:{seconds:02d} left"
        return f"step {self.step} of {self.steps}, loss {self.loss:.4f}, {self.events_per_second:,.0f} events/s, {left}"


StepCallback = Callable[[Progress], None]


def no_progress(told: Progress) -> None:
    """Nobody is told."""


@dataclass
class Meter:
    """Reckons how fast a training goes since this process took it up."""

    first_step: int
    steps: int
    clock: Callable[[], float] = time.monotonic
    events: int = 0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def progress(self, step: int, loss: float, events: int) -> Progress:
        """Take in a step that read so many events, and return where the training stands after it."""
        self.events += events
        seconds = max(self.clock() - self.began, 1e-9)
        per_step = seconds / (step - self.first_step)
        return Progress(step, self.steps, loss, self.events / seconds, max(0, self.steps - step) * per_step)


@contextmanager
def console_progress(console: Console, plain_seconds: float = PLAIN_SECONDS) -> Iterator[StepCallback]:
    """Give the function that draws progress as one line that changes, on no terminal as a new line now and then."""
    if console.is_terminal:
        with Bar(BarColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:
            task = bar.add_task("begins", total=None)
            yield lambda told: bar.update(task, total=told.steps, completed=told.step, description=told.line)
        return
    yield plain_lines(console, plain_seconds)


def plain_lines(console: Console, plain_seconds: float = PLAIN_SECONDS) -> StepCallback:
    """Return the function that prints a line now and then."""
    told_at = time.monotonic()

    def plainly(told: Progress) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= plain_seconds:
            told_at = time.monotonic()
            console.print(told.line, soft_wrap=True)

    return plainly
