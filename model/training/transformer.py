"""transformer-1 as a challenger: the Transformer of the referee beside the paths that a night can walk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from model.arrays import Bools
from model.baselines.boosted_ranking import BoostedRanking
from model.baselines.lambda_mart import LambdaMart
from model.baselines.next_tag import NextTagByTransition
from model.baselines.own_counts import OwnCounts
from model.baselines.transition import Bag, TransitionSettings
from model.curves import CurvePoint
from model.history import History
from model.kept import Kept
from model.training.ahead import Ahead
from model.training.calibrating import ONE_HELD_OUT_OF, HeldOut, calibrated
from model.training.challenger import Schooling, Told
from model.transformer.interest_model import AS_TOLD, KIND, Calibrations, InterestModel
from model.transformer.interest_ranker import TransformerContestant, TransformerRanker
from model.transformer.kept import KeptTransformer
from model.transformer.progress import Told as Watch
from model.user_hash import stable_hash

CONTESTANT = TransformerContestant(
    size="laptop",
    networks=1,
    cuts_a_window=7,
    paths=(
        OwnCounts(is_tuned=True),
        BoostedRanking(
            LambdaMart(trees=100, depth=3, learning_rate=0.1, least_weight_in_leaf=20.0, pair_method="mean", pairs=4)
        ),
        NextTagByTransition(TransitionSettings(bags=(Bag(0.98, 200),), ridge=1000.0)),
    ),
)


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
    kind: str = KIND
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
