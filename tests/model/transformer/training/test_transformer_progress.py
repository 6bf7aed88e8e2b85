"""The progress of a training: its measurement and its lines on the console."""

import io
from typing import Any

import pytest
from rich.console import Console

from model.transformer.progress import Meter, Progress, plain_lines


def test_a_meter_counts_from_the_first_step_of_this_process() -> None:
    now = [100.0]
    meter = Meter(first_step=40, steps=100, clock=lambda: now[0])
    now[0] = 102.0
    meter.progress(41, 3.0, events=500)
    now[0] = 104.0
    progress = meter.progress(42, 2.5, events=700)
    assert progress == Progress(42, 100, 2.5, events_per_second=300.0, seconds_left=2.0 * 58)
    assert meter.progress(101, 2.5, events=0).seconds_left == 0


def test_the_line_has_loss_speed_and_time_left() -> None:
    line = Progress(3, 10, 2.34567, 12345.0, 83.0).line
    assert line == "step 3 of 10, loss 2.3457, 12,345 events/s, 1:23 left"


@pytest.mark.parametrize(("plain_seconds", "lines"), [(0.0, 3), (1e9, 0)])
def test_lines_are_at_least_plain_seconds_apart(plain_seconds: float, lines: int) -> None:
    out = io.StringIO()
    callback = plain_lines(Console(file=out), plain_seconds)
    for step in range(3):
        callback(Progress(step, 10, 2.0, 100.0, 5.0))
    assert out.getvalue().count("events/s, 0:05 left") == lines and "\x1b" not in out.getvalue()


def test_a_training_reports_speed_and_the_time_left(small: Any) -> None:
    reports: list[Progress] = []
    small.trainer(epochs=1).run(reports.append)
    assert [progress.step for progress in reports] == list(range(1, len(reports) + 1))
    assert all(progress.events_per_second > 0 for progress in reports)
    assert reports[0].seconds_left > reports[-1].seconds_left == 0
