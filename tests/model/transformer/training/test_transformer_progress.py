"""Where a training stands, told to who waits for it."""

import io
from typing import Any

import pytest
from rich.console import Console

from model.transformer.progress import Meter, Progress, console_progress


def test_a_meter_counts_from_where_this_process_took_up_the_training() -> None:
    now = [100.0]
    meter = Meter(first_step=40, steps=100, clock=lambda: now[0])
    now[0] = 102.0
    meter.progress(41, 3.0, events=500)
    now[0] = 104.0
    told = meter.progress(42, 2.5, events=700)
    assert told == Progress(42, 100, 2.5, events_per_second=300.0, seconds_left=2.0 * 58)
    assert meter.progress(101, 2.5, events=0).seconds_left == 0


def test_on_a_terminal_it_is_one_line_with_loss_speed_and_time_left() -> None:
    out = io.StringIO()
    with console_progress(Console(file=out, force_terminal=True, width=120)) as told:
        told(Progress(3, 10, 2.34567, 12345.0, 83.0))
    assert "step 3 of 10, loss 2.3457, 12,345 events/s, 1:23 left" in out.getvalue()


@pytest.mark.parametrize(("plain_seconds", "lines"), [(0.0, 3), (1e9, 0)])
def test_elsewhere_it_is_a_plain_line_now_and_then(plain_seconds: float, lines: int) -> None:
    out = io.StringIO()
    with console_progress(Console(file=out), plain_seconds) as told:
        for step in range(3):
            told(Progress(step, 10, 2.0, 100.0, 5.0))
    assert out.getvalue().count("events/s, 0:05 left") == lines and "\x1b" not in out.getvalue()


def test_a_training_tells_events_and_the_time_left(small: Any) -> None:
    told: list[Progress] = []
    small.trainer(epochs=1).run(told.append)
    assert [progress.step for progress in told] == list(range(1, len(told) + 1))
    assert all(progress.events_per_second > 0 for progress in told)
    assert told[0].seconds_left > told[-1].seconds_left == 0
