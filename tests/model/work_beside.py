"""Work for a process beside: importable, as what is begun before the verdict must be."""

import os
import time
from pathlib import Path

import torch

from model.transformer.progress import Progress, Told


def process_id(told: Told) -> int:
    return os.getpid()


def threads(told: Told) -> int:
    return torch.get_num_threads()


def no_number(told: Told) -> int:
    return int("no number")


def end_of_file(told: Told) -> None:
    raise EOFError("met by the work itself")


def read(file: Path, told: Told) -> str:
    return file.read_text()


def slow(told: Told) -> str:
    """Tells of one step, long before it is done."""
    told(Progress(3, 10, 0.5, 100.0, 7.0))
    time.sleep(2)
    return "done"
