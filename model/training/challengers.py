"""What a model must be able to do to challenge the champion.

boosting-1 as a challenger: some recipes, the newest lesson chooses one.

transformer-1 as a challenger: the Transformer of the referee beside the paths that a night can walk.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from model.boosting.features import usual_actions
from model.boosting.model import KIND as BOOSTING
from model.boosting.model import (
    SETTINGS_GRID,
    Examples,
    SavedForest,
    TriedSettings,
    examples,
    grow,
    try_settings,
)
from model.boosting.trees import BoostingSettings
from model.data.arrays import Bools
from model.data.history import History
from model.data.users import stable_hash
from model.interfaces import CurvePoint, SavedModel, TrainingData
from model.training.background_refit import BackgroundRefit
from model.transformer.calibrate import ONE_HELD_OUT_OF, HeldOut, calibrate
from model.transformer.fit import WEEKLY_TRANSFORMER, FittedTransformer, TransformerModel
from model.transformer.model import KIND as TRANSFORMER
from model.transformer.model import UNCALIBRATED, Calibrations, InterestModel
from model.transformer.progress import StepCallback as Watch
from model.transformer.publish import SavedTransformer

ProgressCallback = Callable[[str], None]


class TrainedChallenger(Protocol):
    """A challenger as it goes before the judges."""

    @property
    def kept(self) -> SavedModel: ...

    @property
    def curves(self) -> Sequence[CurvePoint]:
        """Return how the training went; nothing where it has no steps."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the settings that were chosen, each a plain value."""

    def as_json(self) -> Mapping[str, Any]:
        """Return how it came to be."""

    def refit(self, training_data: TrainingData, ahead: SavedModel | None) -> SavedModel:
        """Return the same, learnt with the week that judged as well.

        ahead: what came of the challenger's `ahead`, None where it has none.
        """


class Challenger(Protocol):
    """A way to learn a model."""

    @property
    def kind(self) -> str: ...

    @property
    def steps(self) -> int:
        """How often `learn` calls `told`."""

    def ahead(self, training_data: TrainingData) -> BackgroundRefit[SavedModel] | None:
        """Return what learns with the week that judged, without knowing how the judged one did, so that it may run
        meanwhile; None where a refit is quick, or depends on what was learnt."""

    def learn(self, training_data: TrainingData, told: ProgressCallback) -> TrainedChallenger:
        """Learn from the lessons, of which the newest may choose among settings. Nothing else is known."""


@dataclass(frozen=True, eq=False)
class TrainedForest:
    """A Learnt."""

    kept: SavedForest
    actions: tuple[str, ...]
    choices: tuple[TriedSettings, ...]  # what the newest lesson said of each recipe
    chosen: TriedSettings
    rows: Sequence[Examples]
    curves: Sequence[CurvePoint] = ()

    def parameters(self) -> Mapping[str, Any]:
        return self.chosen.recipe.as_json()

    def as_json(self) -> Mapping[str, Any]:
        return {
            "actions": list(self.actions),
            "recipes": [
                {**choice.recipe.as_json(), "validation_ndcg_at_10": choice.ndcg_at_10} for choice in self.choices
            ],
            "chosen": self.chosen.recipe.as_json(),
            "examples": sum(len(one.is_touched_P) for one in self.rows),  # pairs of user and tag
        }

    def refit(self, training_data: TrainingData, ahead: SavedModel | None) -> SavedForest:
        """Grow by the same recipe from the weeks of the schooling, the judging one among them."""
        rows = [*self.rows, examples(training_data.windows[-1], self.actions)][-len(training_data.windows) :]
        return SavedForest(grow(self.chosen.recipe, rows, self.actions))


@dataclass(frozen=True)
class BoostingChallenger:
    """A Challenger."""

    recipes: tuple[BoostingSettings, ...] = SETTINGS_GRID
    kind: str = BOOSTING

    @property
    def steps(self) -> int:
        return len(self.recipes) + 1

    def ahead(self, training_data: TrainingData) -> None:
        """A refit waits for the recipe."""

    def learn(self, training_data: TrainingData, told: ProgressCallback) -> TrainedForest:
        actions = usual_actions(training_data.windows)
        rows = [examples(window, actions) for window in training_data.windows]
        choices: list[TriedSettings] = []
        told("trying recipes of boosted trees")
        for choice in try_settings(self.recipes, rows[:-1], rows[-1]):
            choices.append(choice)
            reached = f"nDCG@10 {choice.ndcg_at_10:.3f} on the validation week"
            told(f"tried {len(choices)} of {len(self.recipes)} recipes: {reached}")
        chosen = max(choices, key=lambda choice: choice.ndcg_at_10)
        kept = SavedForest(grow(chosen.recipe, rows, actions))
        return TrainedForest(kept, actions, tuple(choices), chosen, rows)


@dataclass(frozen=True, eq=False)
class TrainedTransformer:
    """A Learnt."""

    kept: SavedTransformer
    model: TransformerModel
    curves: Sequence[CurvePoint]

    def parameters(self) -> Mapping[str, Any]:
        settings = self.model.settings()
        return {"size": settings["size"], "networks": settings["networks"], **_plain(settings["training"])}

    def as_json(self) -> Mapping[str, Any]:
        return self.kept.model.facts

    def refit(self, training_data: TrainingData, ahead: SavedModel | None) -> SavedTransformer:
        """Return `ahead` with the calibration of the judged one: nothing is left that has not taught it."""
        assert isinstance(ahead, SavedTransformer)
        judged = self.kept.model
        return SavedTransformer(replace(ahead.model, calibrations=judged.calibrations, facts=judged.facts))


@dataclass(frozen=True)
class TransformerChallenger:
    """A Challenger. Every path of the contestant must be one that `kept_paths` knows."""

    model: TransformerModel = WEEKLY_TRANSFORMER
    kind: str = TRANSFORMER
    steps: int = 2

    def ahead(self, training_data: TrainingData) -> BackgroundRefit[SavedModel]:
        return BackgroundRefit(partial(_train_with_newest_week, self.model, training_data), self.model.on_step)

    def learn(self, training_data: TrainingData, told: ProgressCallback) -> TrainedTransformer:
        """Train on all weeks, of a fifth of the users on all but the newest, on which the answers are then calibrated.

        These users teach until then, as those whom the model will score have taught it on the weeks before.
        """
        *older, newest = training_data.windows
        told("training the Transformer")
        windows = [*older, newest.of_users(~_is_held_out_U(newest.past))]
        past = training_data.past.before_for(_is_held_out_U(training_data.past), newest.cutoff)
        past = past.of_users(past.event_counts_U() > 0)
        ranker = self.model.fit(TrainingData(windows, past, training_data.cutoff))
        told("calibrating the Transformer")
        held_out = HeldOut(
            train=windows[-1],
            test=newest.of_users(_is_held_out_U(newest.past)),
            features=ranker.features.as_of(self.model.stacked_models, newest.past, newest.cutoff),
        )
        stated = _model(ranker, UNCALIBRATED, {})
        calibrations, report = calibrate(stated, held_out)
        facts = {
            "settings": dict(self.model.settings()),
            "weeks": len(training_data.windows),
            "users": past.users,
            "calibration": report,
        }
        return TrainedTransformer(SavedTransformer(_model(ranker, calibrations, facts)), self.model, ranker.curves[0])


def _train_with_newest_week(model: TransformerModel, training_data: TrainingData, watch: Watch) -> SavedTransformer:
    """Train on the weeks of the schooling, the judging one among them; nothing is calibrated."""
    watched = replace(model, on_step=watch)
    ranker = watched.fit(training_data)
    return SavedTransformer(_model(ranker, UNCALIBRATED, {}))


def _is_held_out_U(past: History) -> Bools:
    return np.asarray(stable_hash(past.user_id_U) % ONE_HELD_OUT_OF == 0)


def _model(ranker: FittedTransformer, calibrations: Calibrations, facts: Mapping[str, Any]) -> InterestModel:
    networks = tuple(network.eval().requires_grad_(False) for network in ranker.networks)
    return InterestModel(ranker.config, ranker.vocabulary, networks, ranker.features.models, calibrations, facts)


def _plain(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in settings.items() if isinstance(value, int | float | str)}
