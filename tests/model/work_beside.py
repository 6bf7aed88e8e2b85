"""Work for a second process, which has to be importable."""

import os
import time
from pathlib import Path

import torch

from model.transformer.progress import Progress, StepCallback


def process_id(on_step: StepCallback) -> int:
    return os.getpid()


def threads(on_step: StepCallback) -> int:
    return torch.get_num_threads()


def no_number(on_step: StepCallback) -> int:
    return int("no number")


def end_of_file(on_step: StepCallback) -> None:
    raise EOFError("met by the work itself")


def read(file: Path, on_step: StepCallback) -> str:
    return file.read_text()


def slow(on_step: StepCallback) -> str:
    """Reports one step long before it ends."""
    on_step(Progress(3, 10, 0.5, 100.0, 7.0))
    time.sleep(2)
    return "done"
