"""What is begun before the verdict: done elsewhere, errors raised here, nothing left behind."""

import multiprocessing
import os
from functools import partial
from pathlib import Path

import pytest
import torch

from model.training.ahead import Ahead


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A file that nobody can read to its end."""
    file = tmp_path / "blocked"
    os.mkfifo(file)
    return file


def test_it_is_done_in_another_process_with_half_the_threads_or_here() -> None:
    torch.set_num_threads(2)
    with Ahead(os.getpid, is_beside=True) as process, Ahead(torch.get_num_threads, is_beside=True) as threads:
        assert process.outcome() != os.getpid()
        assert threads.outcome() == 1
    assert torch.get_num_threads() == 2
    with Ahead(os.getpid, is_beside=False) as here:
        assert here.outcome() == os.getpid()


def test_what_it_raises_is_raised_here() -> None:
    with Ahead(partial(int, "no number"), is_beside=True) as failing, pytest.raises(ValueError, match="no number"):
        failing.outcome()


def test_what_was_killed_is_done_here(blocked: Path) -> None:
    with Ahead(blocked.read_text, is_beside=True) as killed:
        (child,) = multiprocessing.active_children()
        child.kill()
        blocked.unlink()
        blocked.write_text("read here")
        assert killed.outcome() == "read here"


def test_what_is_not_wanted_is_stopped(blocked: Path) -> None:
    with Ahead(blocked.read_text, is_beside=True):
        assert len(multiprocessing.active_children()) == 1
    assert multiprocessing.active_children() == []
