"""Training: what is learnt from, who judges, and who is promoted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pytest

import model.training.challengers as boosting
from model.boosting.model import Forest, SavedForest
from model.boosting.trees import BoostingSettings
from model.calibration import Calibration
from model.counts.model import Counts1
from model.data.cutoffs import plan
from model.data.days import HORIZON_DAYS, end_of_day
from model.data.folds import Histories, window_of_week
from model.data.history import History, history_of
from model.data.labels import LabeledWindow
from model.data.scores import Scores
from model.errors import InputError
from model.interfaces import CurvePoint, SavedModel, TrainingData
from model.metrics import Difference
from model.training.challengers import BoostingChallenger, ProgressCallback, TrainedForest
from model.training.promotion import Challenge, ChallengeResult, Verdict, challenge, last_line, steps_of, verdict

SMALL = (BoostingSettings(learning_rate=0.1, leaves=7, least_weight_in_leaf=5.0, penalty=1.0, trees=40),)
WEEK = timedelta(days=HORIZON_DAYS)


NAMED = {"new": BoostingChallenger(SMALL)}


def known_of(world: Any, weeks: int = 3) -> Histories:
    days = [world.last_day - number * WEEK for number in range(weeks + 1)]
    return {day: history_of(world.until(day)) for day in days}


def run(world: Any, known: Histories | None = None, champions: tuple[tuple[str, SavedModel], ...] = ()) -> Challenge:
    through = world.last_day
    return challenge(
        NAMED, plan(through, through - timedelta(days=27)), known or known_of(world), champions, lambda doing: None
    )


@pytest.fixture(scope="module")
def won(shop: Any) -> Challenge:
    return run(shop)


def learnt(told: Challenge) -> TrainedForest:
    forest = told.leader.learnt
    assert isinstance(forest, TrainedForest)
    return forest


def test_a_challenger_that_sees_what_counts_cannot_wins_and_is_refitted(won: Challenge) -> None:
    assert won.leader.verdict.best.name == "counts-1"
    assert won.leader.verdict.difference.low > 0
    assert won.winner is not None and won.winner.kind == "boosting-1"
    assert set(learnt(won).actions) == {"view", "purchase"}


def test_a_planted_worse_challenger_is_not_promoted(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    grow = boosting.grow

    def worse(*args: Any) -> Forest:
        return replace(grow(*args), calibration=Calibration((0.0, 1.0), (1.0, 0.0)))  # ranks in reverse

    monkeypatch.setattr(boosting, "grow", worse)
    lost = run(shop)
    assert lost.leader.verdict.difference.high < 0
    assert lost.winner is None


def test_a_champion_as_good_is_not_replaced(shop: Any, won: Challenge) -> None:
    """The same recipe on the same weeks gives the same model: no difference is no win."""
    twin = boosting.grow(learnt(won).chosen.recipe, *_rows(shop, won))
    again = run(shop, champions=(("twin", SavedForest(twin)),))
    assert again.leader.verdict.best.name == "twin"
    assert again.leader.verdict.difference == Difference(0.0, 0.0, 0.0)
    assert again.winner is None


def _rows(world: Any, told: Challenge) -> tuple[list[Any], tuple[str, ...]]:
    known = known_of(world)
    cutoffs = (*told.plan.taught, told.plan.validation)
    actions = learnt(told).actions
    return [boosting.examples(window_of_week(known, cutoff), actions) for cutoff in cutoffs], actions


def test_what_is_planted_in_the_judging_week_teaches_the_judged_challenger_nothing(
    shop: Any, won: Challenge, monkeypatch: pytest.MonkeyPatch, sequences_of: Any
) -> None:
    grown: list[Forest] = []
    grow = boosting.grow
    monkeypatch.setattr(boosting, "grow", lambda *args: grown.append(grow(*args)) or grown[-1])
    run(shop)
    first = grown[0]
    grown.clear()
    planted = [(f"user{number:04d}", f"{shop.last_day} 20:00", "planted", 9, 9.0, "planting") for number in range(200)]
    known = {**known_of(shop), shop.last_day: history_of(sequences_of([*shop.touches, *planted]))}
    run(shop, known)
    assert grown[0].actions == first.actions
    assert grown[0].trees.save_raw("json") == first.trees.save_raw("json")
    assert grown[0].calibration == first.calibration


@dataclass(frozen=True, eq=False)
class KnowsTheAnswers:
    """A Kept, and a scorer: all affinity is with what was touched in the judging week, so that it wins."""

    week: LabeledWindow
    counts: Counts1 | None = None
    kind: str = "answers-1"

    def scorer(self, version: str, counts: Counts1) -> "KnowsTheAnswers":
        return replace(self, counts=counts)

    def score(self, history: History) -> Scores:
        assert self.counts is not None
        touched = self.week.touched
        tag_R = self.week.past.tag_T[touched.tag_P]
        certain_R = np.ones(len(touched))
        return replace(self.counts.score(history), user_R=touched.user_P, tag_R=tag_R, affinity_R=certain_R)


@dataclass(frozen=True, eq=False)
class Recording:
    """A Challenger, and what comes of it, that keeps what it was given to train on."""

    kept: KnowsTheAnswers
    given: dict[str, TrainingData] = field(default_factory=dict)
    kind: str = "answers-1"
    steps: int = 0
    curves: tuple[CurvePoint, ...] = ()

    def ahead(self, training_data: TrainingData) -> None:
        self.given["ahead"] = training_data

    def learn(self, training_data: TrainingData, told: ProgressCallback) -> "Recording":
        self.given["judged"] = training_data
        return self

    def refit(self, training_data: TrainingData, ahead: SavedModel | None) -> KnowsTheAnswers:
        self.given["refit"] = training_data
        return self.kept

    def parameters(self) -> Mapping[str, Any]:
        return {}

    def as_json(self) -> Mapping[str, Any]:
        return {}


def test_a_challenger_is_judged_without_the_judging_week_and_refitted_with_it(world: Any, sequences_of: Any) -> None:
    """Rows of an earlier day hold an event after it, and a user becomes known late: neither reaches the judged one."""
    last = world.last_day
    cutoffs = [last - number * WEEK for number in (4, 3, 2, 1)]

    def midnight_after(day: date) -> datetime:
        return datetime.combine(day + timedelta(days=1), time(), UTC)

    def known_by(day: date) -> History:
        touches = [touch for touch in world.touches if touch[1] < midnight_after(day)]
        newest = [("user0000", midnight_after(last) - timedelta(seconds=1), "tag00")]
        late = [("late", midnight_after(last - 5 * WEEK), "tag00")] if day == last else []
        return history_of(sequences_of([*touches, *newest, *late]))

    known = {day: known_by(day) for day in (*cutoffs, last)}
    recording = Recording(KnowsTheAnswers(window_of_week(known, cutoffs[-1])))
    outcome = challenge({"answers": recording}, plan(last, last - timedelta(days=34)), known, (), lambda doing: None)
    assert outcome.winner is recording.kept

    def newest_event(past: History) -> int:
        return int(past.at_E.max())

    judged, refit = recording.given["judged"], recording.given["refit"]
    assert recording.given["ahead"] is refit
    assert judged.cutoff == end_of_day(cutoffs[-1])
    assert [window.cutoff for window in judged.windows] == [end_of_day(cutoff) for cutoff in cutoffs[:3]]
    assert end_of_day(cutoffs[-1] - timedelta(days=1)) <= newest_event(judged.past) < end_of_day(cutoffs[-1])
    assert "late" not in judged.past.user_id_U
    assert refit.cutoff == end_of_day(last)
    assert [window.cutoff for window in refit.windows] == [end_of_day(cutoff) for cutoff in cutoffs[1:]]
    assert newest_event(refit.past) == end_of_day(last) - 1_000_000
    assert "late" in refit.past.user_id_U
    for given in (judged, refit):
        assert all(window.end - window.cutoff == end_of_day(last) - end_of_day(cutoffs[-1]) for window in given.windows)
        assert max(window.end for window in given.windows) == given.cutoff


def judged(name: str, ndcg_U: Any) -> ChallengeResult:
    return ChallengeResult(name, np.asarray(ndcg_U), 0.5, 0.5, 0.0)


@pytest.mark.parametrize(("gain", "wins"), [(0.05, True), (0.001, False), (0.0, False), (-0.05, False)])
def test_the_interval_decides(gain: float, wins: bool) -> None:
    random = np.random.default_rng(2)
    base_U = random.uniform(size=500)
    told = verdict(judged("new", base_U + random.normal(gain, 0.2, 500)), [judged("counts-1", base_U)])
    assert told.is_won is wins


def test_the_best_opponent_is_the_one_to_beat() -> None:
    told = verdict(judged("new", [0.6, 0.6]), [judged("counts-1", [0.5, 0.5]), judged("old", [0.7, 0.7])])
    assert told.best.name == "old"
    assert not told.is_won


def test_the_outcome_is_one_line(won: Challenge) -> None:
    told = Verdict(
        judged("new", [0.5612]), (judged("counts-1", [0.5333]),), judged("counts-1", [0.5333]),
        Difference(0.028, -0.0191, 0.0371),
    )  # fmt: skip
    retold = replace(won, outcomes=(replace(won.leader, verdict=told),))
    assert last_line(retold, "promoted", "boosting-1.20260201") == (
        "boosting-1.20260201 promoted: nDCG@10 .561 against .533 of counts-1, difference +.028 [-.019, +.037]"
    )


def test_progress_is_told_as_often_as_announced(shop: Any) -> None:
    told: list[str] = []
    through = shop.last_day
    challenge(NAMED, plan(through, through - timedelta(days=27)), known_of(shop), (), told.append)
    assert len(told) == steps_of(list(NAMED.values()))


def test_cuts_lie_a_week_apart_and_each_has_a_week_to_look_back_on() -> None:
    through = date(2026, 2, 1)
    young = plan(through, date(2026, 1, 5))
    assert (young.taught, young.validation, young.judged) == (
        (date(2026, 1, 11),), date(2026, 1, 18), date(2026, 1, 25),
    )  # fmt: skip
    assert plan(through, date(2025, 1, 1)).taught == tuple(date(2026, 1, 11) - number * WEEK for number in (3, 2, 1, 0))


@pytest.mark.parametrize(
    ("oldest", "says"),
    [
        (
            date(2026, 1, 6),
            r"found days in interest.sequences: 27, from 2026-01-06; expected 28 .* \(here 2026-02-02 at",
        ),
        (None, r"found days in interest.sequences: none; expected 28 at least, .*; run more days"),
    ],
)
def test_too_young_a_log_is_refused(oldest: date | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        plan(date(2026, 2, 1), oldest)


def test_a_week_in_which_nobody_did_anything_judges_nobody(shop: Any) -> None:
    quiet = {**known_of(shop), shop.last_day: history_of(shop.until(shop.last_day - WEEK))}
    with pytest.raises(InputError, match="too few users to judge a model by: found 0 who were known"):
        run(shop, quiet)


def test_a_log_of_few_users_teaches_nothing(shop: Any) -> None:
    few = {day: history.of_users(np.arange(history.users) < 20) for day, history in known_of(shop).items()}
    with pytest.raises(InputError, match=r"too little to learn from in the 7 days after .*: found \d+ users"):
        run(shop, few)
