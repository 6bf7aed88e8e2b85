"""BackgroundRefit: works in a second process, raises its errors here, leaves no process behind."""

import multiprocessing
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from model.training.background_refit import BackgroundRefit
from model.transformer.progress import Progress
from tests.model.work_beside import end_of_file, no_number, process_id, read, slow, threads


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A file that cannot be read to its end."""
    file = tmp_path / "blocked"
    os.mkfifo(file)
    return file


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_the_work_runs_in_another_process_with_half_the_threads_or_here() -> None:
    with BackgroundRefit(process_id, is_beside=True) as process, BackgroundRefit(threads, is_beside=True) as of_threads:
        assert process.outcome() != os.getpid()
        assert of_threads.outcome() == 1
    assert torch.get_num_threads() == 2
    with BackgroundRefit(process_id, is_beside=False) as here:
        assert here.outcome() == os.getpid()


def test_an_error_of_the_work_is_raised_here() -> None:
    with BackgroundRefit(no_number, is_beside=True) as failing, pytest.raises(ValueError, match="no number"):
        failing.outcome()


def test_an_end_of_file_error_of_the_work_is_raised_too() -> None:
    with BackgroundRefit(end_of_file, is_beside=True) as failing:
        failing.work = process_id  # what would be done here instead
        with pytest.raises(EOFError):
            failing.outcome()


def test_work_that_was_killed_is_done_here(blocked: Path) -> None:
    with BackgroundRefit(partial(read, blocked), is_beside=True) as killed:
        (child,) = multiprocessing.active_children()
        child.kill()
        blocked.unlink()
        blocked.write_text("read here")
        assert killed.outcome() == "read here"


def test_work_that_is_not_needed_is_stopped(blocked: Path) -> None:
    with BackgroundRefit(partial(read, blocked), is_beside=True):
        assert len(multiprocessing.active_children()) == 1
    assert multiprocessing.active_children() == []


def test_progress_is_reported_while_waiting() -> None:
    seen: list[Progress] = []
    with BackgroundRefit(slow, seen.append, is_beside=True) as begun:
        assert begun.outcome() == "done"
    assert set(seen) == {Progress(3, 10, 0.5, 100.0, 7.0)}
