"""The refit of a challenger, run in a second process during the test if a CPU core is free."""

import ctypes
import multiprocessing
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass, field, fields
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch

from model.transformer.distributed import Runtime
from model.transformer.progress import Progress, StepCallback, no_progress

SECONDS_BETWEEN_LOOKS = 1.0
T = TypeVar("T")


def has_spare_core() -> bool:
    """Return whether a second training does not slow the first: no GPU, one process, several torch threads.

    On a CPU, a network of this size trains no faster with a second thread (measured).
    """
    return Runtime.detect() == Runtime() and torch.get_num_threads() > 1


@dataclass
class BackgroundRefit(Generic[T]):
    """Work whose outcome may not be needed.

    As a context manager: starts on entry if `is_beside`, and is stopped on exit, finished or not. Meanwhile torch uses
    half of the threads in each process.
    """

    work: Callable[[StepCallback], T]  # called with a progress callback; it and its arguments can be pickled
    watch: StepCallback = no_progress  # receives the progress while the outcome is waited for
    is_beside: bool = field(default_factory=has_spare_core)
    _process: SpawnProcess | None = field(default=None, init=False)
    _answer: Connection | None = field(default=None, init=False)
    _progress: "ctypes.Array[ctypes.c_double] | None" = field(default=None, init=False)  # the fields of Progress
    _threads: int = field(default_factory=torch.get_num_threads, init=False)

    def __enter__(self) -> "BackgroundRefit[T]":
        if self.is_beside:
            # Not fork, which would copy the locks that torch threads hold.
            spawning = multiprocessing.get_context("spawn")
            threads = max(1, self._threads // 2)
            self._answer, theirs = spawning.Pipe(duplex=False)
            self._progress = spawning.RawArray(
                "d", len(fields(Progress))
            )  # without a lock, which a killed process could hold
            self._process = spawning.Process(
                target=_work, args=(self.work, threads, theirs, self._progress), daemon=True
            )
            self._process.start()
            theirs.close()
            torch.set_num_threads(threads)
        return self

    def outcome(self) -> T:
        """Return the outcome, waiting for it if needed. Works in this process if none was started or it was killed.

        Raises the error that the work raised.
        """
        if self._answer is None or self._progress is None:
            return self.work(self.watch)
        while not self._answer.poll(SECONDS_BETWEEN_LOOKS):
            step, steps, *others = self._progress[:]
            if step:
                self.watch(Progress(int(step), int(steps), *others))
        try:
            outcome: T | Exception = pickle.loads(self._answer.recv_bytes())
        except (EOFError, OSError):  # it was killed before or while it sent the outcome
            return self.work(self.watch)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None and self._answer is not None:
            self._process.terminate()
            self._process.join()
            self._answer.close()
            torch.set_num_threads(self._threads)


def _work(
    work: Callable[[StepCallback], Any], threads: int, answer: Connection, shared: "ctypes.Array[ctypes.c_double]"
) -> None:
    def note(now: Progress) -> None:
        shared[:] = list(astuple(now))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the waiting process, which stops this one
    torch.set_num_threads(threads)
    try:
        outcome = work(note)
    except Exception as error:  # raised by the waiting process
        outcome = error
    # Bytes: torch would send weights through a socket that closes when this process ends.
    with suppress(BrokenPipeError):
        answer.send_bytes(pickle.dumps(outcome))
