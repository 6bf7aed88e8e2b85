"""How a training went, step by step: what MLflow draws.

What a model must be able to do to stand before the referee.

Shape letters: U users, T tags.

What a model gives and what it is asked: the interface through which every model writes profiles.

Shape letters: U users, R interests (a user's together, by rank), V evidence (an interest's together, strongest first),
K top items (a user's together, best first), D dimensions.

A model that was trained and is kept: with the counts-1 of a day it is the model of that day.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from model.counts.model import Counts1
from model.data.arrays import Floats
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.scores import Scores


@dataclass(frozen=True)
class CurvePoint:
    """Where a training stood after a step. None: not measured there."""

    step: int
    loss: float | None = None  # mean since the point before
    learning_rate: float | None = None
    judgement: float | None = None  # of the averaged network, higher is better

    def figures(self) -> Mapping[str, float]:
        """Return what was measured, by name."""
        return {name: value for name, value in asdict(self).items() if name != "step" and value is not None}


class FittedModel(Protocol):
    """A contestant that has learnt all that it may know by one cut."""

    def scores_UT(self, past: History) -> Floats:
        """Return how strongly each user is drawn to each tag of `past.tag_T`, higher is stronger.

        past: any of the users known at the cut, none of their events at the cut or after it. A user's row does not
        depend on who else is asked about.
        """


class Model(Protocol):
    """A way to rank tags, with its settings: `fit` makes a Ranker of it as of a cut."""

    @property
    def name(self) -> str:
        """Name the method, without its settings."""

    @property
    def predicts_probabilities(self) -> bool:
        """Whether a strength is meant as the probability that the user touches the tag in the window."""

    def settings(self) -> Mapping[str, Any]:
        """Return what was tuned, as JSON."""

    def fit(self, taught: Sequence[LabeledWindow], past: History, cutoff: int) -> FittedModel:
        """Return what this contestant is at `cutoff`.

        taught: oldest first, windows that ended by the cut.
        past: everybody known at the cut, nothing at the cut or after it.
        """


@runtime_checkable
class CostlyModel(Model, Protocol):
    """A Contestant that is too dear to be prepared twice more for the guard against peeking."""

    def for_leakage_check(self) -> Model:
        """Return the same contestant with less learning: every step that reads a lesson or the past, fewer times.

        The guard sees only what this one does. What the whole one alone would read, such as a file of its own in a
        later epoch, stays unseen; so only how often may differ, never from what is learnt.
        """


class Scorer(Protocol):
    """A model as of one day: it knows nothing of later days."""

    @property
    def version(self) -> str:
        """Name of the model, the `model_version` of its rows."""

    def parameters(self) -> Mapping[str, Any]:
        """Return what was fitted and how well, as JSON, for the manifest."""

    def score(self, history: History) -> Scores:
        """Return the scores of every user; those of one user do not depend on who else is in `history`."""


# Gives the model of a day from the newest row of every user known by then.
ScorerAsOf = Callable[[pa.Table, date], Scorer]


class SavedModel(Protocol):
    """What the registry gives back, of whatever kind."""

    @property
    def kind(self) -> str:
        """Name the kind, of which a version is one."""

    def scorer(self, version: str, counts: Counts1) -> Scorer:
        """Return the scorer of the day of `counts`."""

    def ranker(self, counts: Counts1) -> FittedModel:
        """Return what stands before the referee on the day of `counts`: the same affinities, of all tags."""

    def write(self, folder: Path) -> None:
        """Write its files into an existing folder; no code is among them."""
