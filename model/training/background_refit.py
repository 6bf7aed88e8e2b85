"""The refit of a challenger begun before the verdict, in a process of its own, where a core has nothing else to do."""

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
    """True where a second training takes nothing from the first: no GPU, one rank, several threads given to torch.

    On a CPU a network of this size is trained by one core; a second thread gains nothing (measured).
    """
    return Runtime.detect() == Runtime() and torch.get_num_threads() > 1


@dataclass
class BackgroundRefit(Generic[T]):
    """A piece of work that may turn out not to be wanted.

    As a context: begun on entry if `is_beside`, and stopped on exit, finished or not. torch takes half the threads
    meanwhile.
    """

    work: Callable[[StepCallback], T]  # is given whom to tell how far it is; importable, its arguments as well
    watch: StepCallback = no_progress  # is told that while its outcome is waited for
    is_beside: bool = field(default_factory=has_spare_core)
    _process: SpawnProcess | None = field(default=None, init=False)
    _answer: Connection | None = field(default=None, init=False)
    _stand: "ctypes.Array[ctypes.c_double] | None" = field(default=None, init=False)  # the fields of Progress
    _threads: int = field(default_factory=torch.get_num_threads, init=False)

    def __enter__(self) -> "BackgroundRefit[T]":
        if self.is_beside:
            # No fork: it would copy the locks that the threads of torch hold.
            spawning = multiprocessing.get_context("spawn")
            threads = max(1, self._threads // 2)
            self._answer, theirs = spawning.Pipe(duplex=False)
            self._stand = spawning.RawArray("d", len(fields(Progress)))  # no lock that a killed process could keep
            self._process = spawning.Process(target=_work, args=(self.work, threads, theirs, self._stand), daemon=True)
            self._process.start()
            theirs.close()
            torch.set_num_threads(threads)
        return self

    def outcome(self) -> T:
        """Return what came of it, waiting if need be; do it here if no process was begun, or if that was killed.

        Raises what the work raised.
        """
        if self._answer is None or self._stand is None:
            return self.work(self.watch)
        while not self._answer.poll(SECONDS_BETWEEN_LOOKS):
            step, steps, *others = self._stand[:]
            if step:
                self.watch(Progress(int(step), int(steps), *others))
        try:
            told: T | Exception = pickle.loads(self._answer.recv_bytes())
        except (EOFError, OSError):  # it was killed, before a word or in the middle of one
            return self.work(self.watch)
        if isinstance(told, Exception):
            raise told
        return told

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None and self._answer is not None:
            self._process.terminate()
            self._process.join()
            self._answer.close()
            torch.set_num_threads(self._threads)


def _work(
    work: Callable[[StepCallback], Any], threads: int, answer: Connection, stand: "ctypes.Array[ctypes.c_double]"
) -> None:
    def note(now: Progress) -> None:
        stand[:] = list(astuple(now))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits, which stops this one
    torch.set_num_threads(threads)
    try:
        told = work(note)
    except Exception as error:  # whoever waits raises it
        told = error
    # Plain bytes: torch would send weights by a socket that is gone as soon as this process is.
    with suppress(BrokenPipeError):
        answer.send_bytes(pickle.dumps(told))
