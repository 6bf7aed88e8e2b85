"""What a model must be able to do to challenge the champion.

boosting-1 as a challenger: some recipes, the newest lesson chooses one.

transformer-1 as a challenger: the Transformer of the referee beside the paths that a night can walk.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from model.boosting.model import KIND as BOOSTING
from model.boosting.model import (
    RECIPES,
    Choice,
    Examples,
    KeptForest,
    Recipe,
    examples,
    grow,
    try_recipes,
    usual_actions,
)
from model.data.arrays import Bools
from model.data.history import History
from model.data.labels import Lesson
from model.data.users import stable_hash
from model.interfaces import CurvePoint, Kept
from model.training.background_refit import Ahead
from model.transformer.calibrate import ONE_HELD_OUT_OF, HeldOut, calibrated
from model.transformer.fit import CONTESTANT, TransformerContestant, TransformerRanker
from model.transformer.model import AS_TOLD, Calibrations, InterestModel
from model.transformer.model import KIND as TRANSFORMER
from model.transformer.progress import Told as Watch
from model.transformer.publish import KeptTransformer

Told = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Schooling:
    """All that may be known by one cut."""

    lessons: Sequence[Lesson]  # oldest first, of weeks that ended by the cut
    past: History  # everybody known at the cut, nothing at the cut or after it
    cut: int  # moment

    def __post_init__(self) -> None:
        if len(self.lessons) < 2:
            raise ValueError(f"found {len(self.lessons)} lessons, expected one to learn from and one to choose by")


class Learnt(Protocol):
    """A challenger as it goes before the judges."""

    @property
    def kept(self) -> Kept: ...

    @property
    def curves(self) -> Sequence[CurvePoint]:
        """Return how the training went; nothing where it has no steps."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the settings that were chosen, each a plain value."""

    def as_json(self) -> Mapping[str, Any]:
        """Return how it came to be."""

    def refitted(self, schooling: Schooling, ahead: Kept | None) -> Kept:
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

    def ahead(self, schooling: Schooling) -> Ahead[Kept] | None:
        """Return what learns with the week that judged, without knowing how the judged one did, so that it may run
        meanwhile; None where a refit is quick, or depends on what was learnt."""

    def learn(self, schooling: Schooling, told: Told) -> Learnt:
        """Learn from the lessons, of which the newest may choose among settings. Nothing else is known."""


@dataclass(frozen=True, eq=False)
class LearntForest:
    """A Learnt."""

    kept: KeptForest
    actions: tuple[str, ...]
    choices: tuple[Choice, ...]  # what the newest lesson said of each recipe
    chosen: Choice
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

    def refitted(self, schooling: Schooling, ahead: Kept | None) -> KeptForest:
        """Grow by the same recipe from the weeks of the schooling, the judging one among them."""
        rows = [*self.rows, examples(schooling.lessons[-1], self.actions)][-len(schooling.lessons) :]
        return KeptForest(grow(self.chosen.recipe, rows, self.actions))


@dataclass(frozen=True)
class BoostingChallenger:
    """A Challenger."""

    recipes: tuple[Recipe, ...] = RECIPES
    kind: str = BOOSTING

    @property
    def steps(self) -> int:
        return len(self.recipes) + 1

    def ahead(self, schooling: Schooling) -> None:
        """A refit waits for the recipe."""

    def learn(self, schooling: Schooling, told: Told) -> LearntForest:
        actions = usual_actions(schooling.lessons)
        rows = [examples(lesson, actions) for lesson in schooling.lessons]
        choices: list[Choice] = []
        told("trying recipes of boosted trees")
        for choice in try_recipes(self.recipes, rows[:-1], rows[-1]):
            choices.append(choice)
            reached = f"nDCG@10 {choice.ndcg_at_10:.3f} on the validation week"
            told(f"tried {len(choices)} of {len(self.recipes)} recipes: {reached}")
        chosen = max(choices, key=lambda choice: choice.ndcg_at_10)
        kept = KeptForest(grow(chosen.recipe, rows, actions))
        return LearntForest(kept, actions, tuple(choices), chosen, rows)


@dataclass(frozen=True, eq=False)
class LearntTransformer:
    """A Learnt."""

    kept: KeptTransformer
    contestant: TransformerContestant
    curves: Sequence[CurvePoint]

    def parameters(self) -> Mapping[str, Any]:
        settings = self.contestant.settings()
        return {"size": settings["size"]["name"], "networks": settings["networks"], **_plain(settings["recipe"])}

    def as_json(self) -> Mapping[str, Any]:
        return self.kept.model.facts

    def refitted(self, schooling: Schooling, ahead: Kept | None) -> KeptTransformer:
        """Return `ahead` with the calibration of the judged one: nothing is left that has not taught it."""
        assert isinstance(ahead, KeptTransformer)
        judged = self.kept.model
        return KeptTransformer(replace(ahead.model, calibrations=judged.calibrations, facts=judged.facts))


@dataclass(frozen=True)
class TransformerChallenger:
    """A Challenger. Every path of the contestant must be one that `kept_paths` knows."""

    contestant: TransformerContestant = CONTESTANT
    kind: str = TRANSFORMER
    steps: int = 2

    def ahead(self, schooling: Schooling) -> Ahead[Kept]:
        return Ahead(partial(_trained_a_week_later, self.contestant, schooling), self.contestant.watch)

    def learn(self, schooling: Schooling, told: Told) -> LearntTransformer:
        """Train on all weeks, of a fifth of the users on all but the newest, on which the answers are then calibrated.

        These users teach until then, as those whom the model will score have taught it on the weeks before.
        """
        *older, newest = schooling.lessons
        told("training the Transformer")
        lessons = [*older, newest.of_users(~_is_held_out_U(newest.past))]
        past = schooling.past.before_for(_is_held_out_U(schooling.past), newest.cut)
        past = past.of_users(past.event_counts_U() > 0)
        ranker = self.contestant.prepare(lessons, past, schooling.cut)
        told("calibrating the Transformer")
        held_out = HeldOut(
            taught=lessons[-1],
            asked=newest.of_users(_is_held_out_U(newest.past)),
            paths=ranker.paths.as_of(self.contestant.paths, newest.past, newest.cut),
        )
        stated = _model(ranker, AS_TOLD, {})
        calibrations, report = calibrated(stated, held_out)
        facts = {
            "settings": dict(self.contestant.settings()),
            "weeks": len(schooling.lessons),
            "users": past.users,
            "calibration": report,
        }
        return LearntTransformer(
            KeptTransformer(_model(ranker, calibrations, facts)), self.contestant, ranker.curves[0]
        )


def _trained_a_week_later(contestant: TransformerContestant, schooling: Schooling, watch: Watch) -> KeptTransformer:
    """Train on the weeks of the schooling, the judging one among them; nothing is calibrated."""
    watched = replace(contestant, watch=watch)
    ranker = watched.prepare(schooling.lessons, schooling.past, schooling.cut)
    return KeptTransformer(_model(ranker, AS_TOLD, {}))


def _is_held_out_U(past: History) -> Bools:
    return np.asarray(stable_hash(past.user_id_U) % ONE_HELD_OUT_OF == 0)


def _model(ranker: TransformerRanker, calibrations: Calibrations, facts: Mapping[str, Any]) -> InterestModel:
    networks = tuple(network.eval().requires_grad_(False) for network in ranker.networks)
    return InterestModel(ranker.size, ranker.vocabulary, networks, ranker.paths.rankers, calibrations, facts)


def _plain(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in settings.items() if isinstance(value, int | float | str)}
