"""The models that a weekly training can promote: boosting-1 and transformer-1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from model.boosting.features import usual_actions
from model.boosting.model import (
    FORESTS,
    MANY_PAIRS,
    SETTINGS,
    SETTINGS_OF_MANY_PAIRS,
    Examples,
    SavedForest,
    examples,
    grow,
)
from model.boosting.model import KIND as BOOSTING
from model.boosting.trees import BoostingSettings
from model.data.arrays import Bools
from model.data.history import History
from model.data.users import stable_hash
from model.interfaces import CurvePoint, ProgressCallback, SavedModel, TrainingData
from model.training.background_refit import BackgroundRefit
from model.transformer.calibrate import ONE_HELD_OUT_OF, HeldOut, calibrate
from model.transformer.fit import WEEKLY_TRANSFORMER, FittedTransformer, TransformerModel
from model.transformer.model import KIND as TRANSFORMER
from model.transformer.model import UNCALIBRATED, Calibrations, InterestModel
from model.transformer.progress import StepCallback
from model.transformer.publish import SavedTransformer


class TrainedChallenger(Protocol):
    """A challenger trained at the test cutoff."""

    @property
    def saved(self) -> SavedModel: ...

    @property
    def curves(self) -> Sequence[CurvePoint]:
        """Return the training curve, empty for a method without steps."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the chosen settings, each a plain value."""

    def as_json(self) -> Mapping[str, Any]:
        """Return a report of the training."""

    def refit(self, data: TrainingData, refitted: SavedModel | None) -> SavedModel:
        """Return the model refitted with the same settings to `data`, which includes the test windows.

        refitted: the outcome of the challenger's `background_refit`, None if it has none.
        """


class Challenger(Protocol):
    """A method that trains a model for the registry."""

    @property
    def kind(self) -> str: ...

    @property
    def steps(self) -> int:
        """How often `train` calls `progress`."""

    def background_refit(self, data: TrainingData) -> BackgroundRefit[SavedModel] | None:
        """Return a refit to `data`, the test window included, that can run during the test; None if it has to wait for
        the settings that `train` chooses."""

    def train(self, data: TrainingData, progress: ProgressCallback) -> TrainedChallenger:
        """Train on `data`; the newest window may choose among settings."""


@dataclass(frozen=True, eq=False)
class TrainedForest:
    """A TrainedChallenger of boosted trees."""

    saved: SavedForest
    settings: BoostingSettings
    rows: Mapping[int, Examples]  # by cutoff
    curves: Sequence[CurvePoint] = ()

    def parameters(self) -> Mapping[str, Any]:
        return self.settings.as_json()

    def as_json(self) -> Mapping[str, Any]:
        forest = self.saved.forest
        return {
            "actions": list(forest.actions),
            "settings": self.settings.as_json(),
            "trees": [one.num_boosted_rounds() for one in forest.forests],
            "examples": sum(len(one.rows_PF) for one in self.rows.values()),  # pairs of user and tag
        }

    def refit(self, data: TrainingData, refitted: SavedModel | None) -> SavedForest:
        """Grow trees of the same settings on the windows of `data`."""
        actions = self.saved.forest.actions
        rows = [
            self.rows[window.cutoff] if window.cutoff in self.rows else examples(window, data.past, actions)
            for window in data.windows
        ]
        return SavedForest(grow(self.settings, rows, actions))


@dataclass(frozen=True)
class BoostingChallenger:
    """Boosted trees; users held out from each forest decide how many trees it has."""

    settings: BoostingSettings | None = None  # None: those for the number of pairs
    kind: str = BOOSTING
    steps: int = FORESTS + 1

    def background_refit(self, data: TrainingData) -> None:
        """A refit takes seconds."""

    def train(self, data: TrainingData, progress: ProgressCallback) -> TrainedForest:
        progress("counting the features of boosted trees")
        actions = usual_actions(data.windows)
        rows = {window.cutoff: examples(window, data.past, actions) for window in data.windows}
        is_large = sum(len(one.rows_PF) for one in rows.values()) >= MANY_PAIRS
        settings = self.settings or (SETTINGS_OF_MANY_PAIRS if is_large else SETTINGS)
        return TrainedForest(SavedForest(grow(settings, list(rows.values()), actions, progress)), settings, rows)


@dataclass(frozen=True, eq=False)
class TrainedTransformer:
    """A TrainedChallenger of Transformer networks."""

    saved: SavedTransformer
    model: TransformerModel
    curves: Sequence[CurvePoint]

    def parameters(self) -> Mapping[str, Any]:
        settings = self.model.settings()
        return {"size": settings["size"], "networks": settings["networks"], **_plain(settings["training"])}

    def as_json(self) -> Mapping[str, Any]:
        return self.saved.model.facts

    def refit(self, data: TrainingData, refitted: SavedModel | None) -> SavedTransformer:
        """Return `refitted` with the calibration of the tested model: no users are left to calibrate it on."""
        assert isinstance(refitted, SavedTransformer)
        tested = self.saved.model
        return SavedTransformer(replace(refitted.model, calibrations=tested.calibrations, facts=tested.facts))


@dataclass(frozen=True)
class TransformerChallenger:
    """A Transformer beside stacked models, each of which `write_stacked_model` can write."""

    model: TransformerModel = WEEKLY_TRANSFORMER
    kind: str = TRANSFORMER
    steps: int = 2

    def background_refit(self, data: TrainingData) -> BackgroundRefit[SavedModel]:
        return BackgroundRefit(partial(_refit, self.model, data), self.model.on_step)

    def train(self, data: TrainingData, progress: ProgressCallback) -> TrainedTransformer:
        """Train without the newest window of every fifth user, on which the model is then calibrated.

        The older windows of these users are trained on, as are those of the users whom the model will score.
        """
        *older, newest = data.windows
        progress("training the Transformer")
        windows = [*older, newest.of_users(~_is_held_out_U(newest.past))]
        past = data.past.before_for(_is_held_out_U(data.past), newest.cutoff)
        past = past.of_users(past.event_counts_U() > 0)
        fitted = self.model.fit(TrainingData(windows, past, data.cutoff))
        progress("calibrating the Transformer")
        held_out = HeldOut(
            train=windows[-1],
            test=newest.of_users(_is_held_out_U(newest.past)),
            features=fitted.features.as_of(self.model.stacked_models, newest.past, newest.cutoff),
        )
        calibrations, report = calibrate(_model(fitted, UNCALIBRATED, {}), held_out)
        facts = {
            "settings": dict(self.model.settings()),
            "weeks": len(data.windows),
            "users": past.users,
            "calibration": report,
        }
        return TrainedTransformer(SavedTransformer(_model(fitted, calibrations, facts)), self.model, fitted.curves[0])


def _refit(model: TransformerModel, data: TrainingData, watch: StepCallback) -> SavedTransformer:
    """Return the model fitted to all windows of `data`, not calibrated."""
    return SavedTransformer(_model(replace(model, on_step=watch).fit(data), UNCALIBRATED, {}))


def _is_held_out_U(past: History) -> Bools:
    return np.asarray(stable_hash(past.user_id_U) % ONE_HELD_OUT_OF == 0)


def _model(fitted: FittedTransformer, calibrations: Calibrations, facts: Mapping[str, Any]) -> InterestModel:
    networks = tuple(network.eval().requires_grad_(False) for network in fitted.networks)
    return InterestModel(fitted.config, fitted.vocabulary, networks, fitted.features.models, calibrations, facts)


def _plain(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in settings.items() if isinstance(value, int | float | str)}
