"""A model that was trained and is kept: with the counts-1 of a day it is the model of that day."""

from pathlib import Path
from typing import Protocol

from model.counts.counts1 import Counts1
from model.evaluation.contestant import Ranker
from model.scorer import Scorer


class Kept(Protocol):
    """What the registry gives back, of whatever kind."""

    @property
    def kind(self) -> str:
        """Name the kind, of which a version is one."""

    def scorer(self, version: str, counts: Counts1) -> Scorer:
        """Return the scorer of the day of `counts`."""

    def ranker(self, counts: Counts1) -> Ranker:
        """Return what stands before the referee on the day of `counts`: the same affinities, of all tags."""

    def write(self, folder: Path) -> None:
        """Write its files into an existing folder; no code is among them."""
