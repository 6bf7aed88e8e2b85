"""Work for a process beside: importable, as what is begun before the verdict must be."""

import os
import time
from pathlib import Path

import torch

from model.transformer.progress import Progress, StepCallback


def process_id(told: StepCallback) -> int:
    return os.getpid()


def threads(told: StepCallback) -> int:
    return torch.get_num_threads()


def no_number(told: StepCallback) -> int:
    return int("no number")


def end_of_file(told: StepCallback) -> None:
    raise EOFError("met by the work itself")


def read(file: Path, told: StepCallback) -> str:
    return file.read_text()


def slow(told: StepCallback) -> str:
    """Tells of one step, long before it is done."""
    told(Progress(3, 10, 0.5, 100.0, 7.0))
    time.sleep(2)
    return "done"
