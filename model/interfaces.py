"""What every model offers: a `Model` is fitted to a `FittedModel`; a `SavedModel` gives the `Scorer` of a day.

The evaluation compares models by `FittedModel.scores_UT`. A night publishes profiles by `Scorer.score`.

Shape letters: U users, T tags.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from model.counts.model import Counts1
from model.data.arrays import Floats
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.scores import Scores


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All that may be known by one cutoff."""

    windows: Sequence[LabeledWindow]  # oldest first; each ended by the cutoff
    past: History  # all users known at the cutoff, no event at the cutoff or after it
    cutoff: int  # moment


@dataclass(frozen=True)
class CurvePoint:
    """Loss and learning rate of a training after a step."""

    step: int
    loss: float  # mean since the previous point
    learning_rate: float

    def figures(self) -> Mapping[str, float]:
        """Return the measured values by name."""
        return {"loss": self.loss, "learning_rate": self.learning_rate}


class FittedModel(Protocol):
    """A model fitted to the data known at one cutoff."""

    def scores_UT(self, past: History) -> Floats:
        """Return a finite score for each user and each tag of `past.tag_T`; higher is stronger.

        past: any users known at the cutoff, no event at the cutoff or after it. A user's row does not depend on the
        other users.
        """


class Model(Protocol):
    """A method to rank tags, with its settings. Implementations inherit from this class."""

    @property
    def name(self) -> str:
        """Name of the method, without its settings."""

    @property
    def predicts_probabilities(self) -> bool:
        """Whether a score is the probability that the user touches the tag in the window."""

    def settings(self) -> Mapping[str, Any]:
        """Return the tuned settings as JSON."""

    def fit(self, data: TrainingData) -> FittedModel:
        """Return the model fitted to `data`."""

    def for_leakage_check(self) -> "Model":
        """Return the model that the leakage check fits twice; by default this one.

        A costly model returns a cheaper version of itself, for example with fewer epochs. It reads the same data in
        the same order, only less often: the check cannot see what the full model alone would read.
        """
        return self


class Scorer(Protocol):
    """A model as of one day. It knows no later day."""

    @property
    def version(self) -> str:
        """Name of the model, the `model_version` of its rows."""

    @property
    def horizon_days(self) -> int:
        """How many days after its day it predicts."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the fitted parameters and the quality of the fit as JSON, for the manifest."""

    def score(self, history: History) -> Scores:
        """Return the scores of every user. A user's scores do not depend on the other users."""


ProgressCallback = Callable[[str], None]  # is called with what is done next


def no_callback(step: str) -> None:
    """A ProgressCallback that ignores its steps."""


# Returns the scorer of a day, given the newest row of every user known by that day.
ScorerAsOf = Callable[[pa.Table, date], Scorer]


class SavedModel(Protocol):
    """A trained model as the registry keeps it. Together with the counts-1 of a day it is the model of that day."""

    @property
    def kind(self) -> str:
        """Name of the model family, such as boosting-1."""

    def scorer(self, version: str, counts: Counts1, known: History) -> Scorer:
        """Return the scorer of the day of `counts`.

        known: the users to whom `counts` was fitted. A model may read their events up to that day, such as sessions
        like that of a user; it ignores later ones.
        """

    def fitted_as_of(self, counts: Counts1, known: History) -> FittedModel:
        """Return the affinities of the scorer of that day, for all tags instead of the published ones."""

    def save(self, folder: Path) -> None:
        """Write the files of the model, none of them code, into an existing folder."""
