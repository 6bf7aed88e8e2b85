"""Two trainings that take turns on the same cores: one runs while the other waits, so both meet the same noise.

A worker is a process that trains an epoch, ranks, reports its figures and waits. This module needs numpy alone, so that
a worker can run in an environment of its own.

Shape letters: N steps (a user's together, oldest first), U users, K places of a list.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Figures = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Steps:
    """Interactions of users; users and items are codes from 0. Steps of a user are together and in order."""

    user_N: Ints
    item_N: Ints


@dataclass(frozen=True, eq=False)
class WorkerInput:
    """The input file of the workers: the training steps, and the steps that are known at the test."""

    users: int
    items: int
    train: Steps
    known: Steps

    def save(self, file: Path) -> None:
        np.savez(
            file,
            counts=np.array([self.users, self.items]),
            train_user=self.train.user_N,
            train_item=self.train.item_N,
            known_user=self.known.user_N,
            known_item=self.known.item_N,
        )

    @classmethod
    def load(cls, file: Path) -> "WorkerInput":
        with np.load(file) as arrays:
            users, items = (int(count) for count in arrays["counts"])
            train = Steps(arrays["train_user"], arrays["train_item"])
            return cls(users, items, train, Steps(arrays["known_user"], arrays["known_item"]))


class Turns:
    """The worker's side. Make it first: from then on all other output goes to standard error."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def ready(self, about: Figures) -> None:
        """Describe the worker before the first turn."""
        self._answer(about)

    def files(self) -> Iterator[Path]:
        """Yield for each turn the file that receives the lists of the best items (U, K)."""
        for line in iter(sys.stdin.readline, ""):
            yield Path(line.rstrip("\n"))

    def done(self, file: Path, best_UK: Ints, figures: Figures) -> None:
        """End a turn. figures: the measurements; the peak memory of this process so far is added."""
        np.save(file, best_UK)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._answer({**figures, "peak_memory_mib": round(peak / (2**20 if sys.platform == "darwin" else 2**10))})

    def _answer(self, figures: Figures) -> None:
        self._answers.write(json.dumps(figures) + "\n")
        self._answers.flush()


class Worker:
    """The caller's side: starts the process, gives it turns, and ends it when the context ends."""

    def __init__(self, command: Sequence[str], threads: int, folder: Path) -> None:
        """folder: for temporary files."""
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._lists = folder / f"{id(self)}.npy"
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def __enter__(self) -> "Worker":
        self.about = self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def turn(self) -> tuple[Figures, Ints]:
        """Return what the worker measured in its next epoch, and its lists (U, K).

        Raises RuntimeError if it ended instead.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self._lists}\n")
        self._process.stdin.flush()
        figures = self._answer()
        return figures, np.load(self._lists)

    def _answer(self) -> Figures:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{self._process.args} ended with {self._process.wait()}, expected an answer: see its output above"
            )
        figures: Figures = json.loads(line)
        return figures


def places_U(best_UK: Ints, target_U: Ints) -> Ints:
    """Return the place of each target in its user's list, 1 is the best; one place after the last if it is not there.

    Raises ValueError if a list names an item twice: it would count more than once. -1 stands for none.
    """
    sorted_UK = np.sort(best_UK, axis=1)
    is_twice_U = ((np.diff(sorted_UK, axis=1) == 0) & (sorted_UK[:, 1:] >= 0)).any(axis=1)
    if is_twice_U.any():
        raise ValueError(f"the list of user {int(np.argmax(is_twice_U))} names an item twice, expected different ones")
    is_target_UK = best_UK == target_U[:, None]
    found_U = is_target_UK.any(axis=1)
    places: Ints = np.where(found_U, is_target_UK.argmax(axis=1) + 1, best_UK.shape[1] + 1)
    return places
