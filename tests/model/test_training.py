"""The weekly training: its training data, its test week, and which challenger is promoted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape

import model.training.challengers as boosting
from model.boosting.model import Forest, SavedForest
from model.boosting.trees import BoostingSettings
from model.calibration import Calibration
from model.counts.model import Counts1
from model.data.arrays import Floats
from model.data.cutoffs import Cutoffs, training_cutoffs
from model.data.days import HORIZON_DAYS, end_of_day
from model.data.folds import Histories, TrainingWindows, history_at, window_of
from model.data.history import History, history_of
from model.data.labels import LabeledWindow
from model.errors import InputError
from model.evaluation.entrants import training_data
from model.evaluation.results import MAIN, Cost, EvaluationResult, Probabilities, ScoreReading
from model.evaluation.tables import promotion_line
from model.interfaces import CurvePoint, ProgressCallback, SavedModel, TrainingData, no_callback
from model.metrics import Difference
from model.training.challengers import BoostingChallenger, TrainedForest
from model.training.page import findings, render_page
from model.training.promotion import Comparison, Outcome, Promotion, compare, promote, steps_of

SMALL = BoostingSettings(learning_rate=0.1, leaves=7, least_weight_in_leaf=5.0, penalty=1.0, trees=40)
WEEK = timedelta(days=HORIZON_DAYS)


NAMED = {"new": BoostingChallenger(SMALL)}


def histories_of(world: Any, weeks: int = 3) -> Histories:
    days = [world.last_day - number * WEEK for number in range(weeks + 1)]
    return {day: history_of(world.until(day)) for day in days}


def cutoffs_of(world: Any, days: int = 28) -> Cutoffs:
    return training_cutoffs(world.last_day, world.last_day - timedelta(days=days - 1))


def run(
    world: Any, histories: Histories | None = None, champions: tuple[tuple[str, SavedModel], ...] = ()
) -> Promotion:
    return promote(NAMED, cutoffs_of(world), histories or histories_of(world), champions, no_callback)


@pytest.fixture(scope="module")
def won(shop: Any) -> Promotion:
    return run(shop)


def trained(promotion: Promotion) -> TrainedForest:
    forest = promotion.leader.trained
    assert isinstance(forest, TrainedForest)
    return forest


def test_a_challenger_with_more_features_than_counts_wins_and_is_refitted(won: Promotion) -> None:
    assert won.leader.comparison.best.name == "counts-1"
    assert won.leader.comparison.difference.low > 0
    assert won.refitted is not None and won.refitted.kind == "boosting-1"
    assert set(trained(won).saved.forest.actions) == {"view", "purchase"}


def test_a_planted_worse_challenger_is_not_promoted(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    grow = boosting.grow

    def worse(*args: Any) -> Forest:
        return replace(grow(*args), calibration=Calibration((0.0, 1.0), (1.0, 0.0)))  # ranks in reverse

    monkeypatch.setattr(boosting, "grow", worse)
    lost = run(shop)
    assert lost.leader.comparison.difference.high < 0
    assert lost.refitted is None


def test_a_champion_as_good_is_not_replaced(shop: Any, won: Promotion) -> None:
    """The same settings on the same windows give the same model: no difference is no win."""
    twin = boosting.grow(SMALL, *_rows(shop, won))
    again = run(shop, champions=(("twin", SavedForest(twin)),))
    assert again.leader.comparison.best.name == "twin"
    assert again.leader.comparison.difference == Difference(0.0, 0.0, 0.0)
    assert again.refitted is None


def _rows(world: Any, promotion: Promotion) -> tuple[list[Any], tuple[str, ...]]:
    histories, cutoffs, actions = histories_of(world), promotion.cutoffs, trained(promotion).saved.forest.actions
    windows = [window_of(histories, cutoffs, cutoff) for cutoff in cutoffs.all[:-1]]
    all_users = history_at(histories, cutoffs.test)
    return [boosting.examples(window, all_users, actions) for window in windows], actions


def test_events_of_the_test_week_do_not_reach_the_tested_challenger(
    shop: Any, won: Promotion, monkeypatch: pytest.MonkeyPatch, sequences_of: Any
) -> None:
    grown: list[Forest] = []
    grow = boosting.grow
    monkeypatch.setattr(boosting, "grow", lambda *args: grown.append(grow(*args)) or grown[-1])
    run(shop)
    first = grown[0]
    grown.clear()
    planted = [(f"user{number:04d}", f"{shop.last_day} 20:00", "planted", 9, 9.0, "planting") for number in range(200)]
    histories = {**histories_of(shop), shop.last_day: history_of(sequences_of([*shop.touches, *planted]))}
    run(shop, histories)
    assert grown[0].actions == first.actions
    assert [one.save_raw("json") for one in grown[0].forests] == [one.save_raw("json") for one in first.forests]
    assert grown[0].calibration == first.calibration


@dataclass(frozen=True, eq=False)
class KnowsTheAnswers:
    """A SavedModel that scores the tags touched in the test week 1 and all others 0, so that it wins."""

    week: LabeledWindow
    kind: str = "answers-1"

    def scorer(self, version: str, counts: Counts1, known: History) -> Any:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    def fitted_as_of(self, counts: Counts1, known: History) -> "KnowsTheAnswers":
        return self

    def scores_UT(self, past: History) -> Floats:
        whole, touched = self.week.past, self.week.touched
        touched_UT = np.zeros((whole.users, len(whole.tag_T)))
        touched_UT[touched.user_P, touched.tag_P] = 1.0
        user_U, tag_T = np.searchsorted(whole.user_id_U, past.user_id_U), np.searchsorted(whole.tag_T, past.tag_T)
        return np.asarray(touched_UT[np.ix_(user_U, tag_T)])


@dataclass(frozen=True, eq=False)
class Recording:
    """A Challenger and TrainedChallenger that keeps the data it was given."""

    saved: KnowsTheAnswers
    given: dict[str, TrainingData] = field(default_factory=dict)
    kind: str = "answers-1"
    steps: int = 0
    curves: tuple[CurvePoint, ...] = ()

    def background_refit(self, data: TrainingData) -> None:
        self.given["background"] = data

    def train(self, data: TrainingData, progress: ProgressCallback) -> "Recording":
        self.given["tested"] = data
        return self

    def refit(self, data: TrainingData, refitted: SavedModel | None) -> KnowsTheAnswers:
        self.given["refit"] = data
        return self.saved

    def parameters(self) -> Mapping[str, Any]:
        return {}

    def as_json(self) -> Mapping[str, Any]:
        return {}


def test_a_challenger_is_tested_without_the_test_week_and_refitted_with_it(world: Any, sequences_of: Any) -> None:
    """Neither an event after the day of a row nor a user who becomes known late reaches the tested model."""
    last = world.last_day
    days = [last - number * WEEK for number in (4, 3, 2, 1)]

    def midnight_after(day: date) -> datetime:
        return datetime.combine(day + timedelta(days=1), time(), UTC)

    def known_by(day: date) -> History:
        touches = [touch for touch in world.touches if touch[1] < midnight_after(day)]
        newest = [("user0000", midnight_after(last) - timedelta(seconds=1), "tag00")]
        late = [("late", midnight_after(last - 5 * WEEK), "tag00")] if day == last else []
        return history_of(sequences_of([*touches, *newest, *late]))

    histories = {day: known_by(day) for day in (*days, last)}
    cutoffs = Cutoffs((days[0], days[1]), days[2], days[3])
    recording = Recording(KnowsTheAnswers(window_of(histories, cutoffs, cutoffs.test)))
    promotion = promote({"answers": recording}, cutoffs, histories, (), no_callback)
    assert promotion.refitted is recording.saved

    def newest_event(past: History) -> int:
        return int(past.at_E.max())

    tested, refit = recording.given["tested"], recording.given["refit"]
    assert recording.given["background"] is refit
    assert tested.cutoff == end_of_day(days[-1])
    assert [window.cutoff for window in tested.windows] == [end_of_day(cutoff) for cutoff in days[:3]]
    assert end_of_day(days[-1] - timedelta(days=1)) <= newest_event(tested.past) < end_of_day(days[-1])
    assert "late" not in tested.past.user_id_U
    assert refit.cutoff == end_of_day(last)
    assert [window.cutoff for window in refit.windows] == [end_of_day(cutoff) for cutoff in days[1:]]
    assert newest_event(refit.past) == end_of_day(last) - 1_000_000
    assert "late" in refit.past.user_id_U
    for given in (tested, refit):
        assert all(window.end - window.cutoff == end_of_day(last) - end_of_day(days[-1]) for window in given.windows)
        assert max(window.end for window in given.windows) == given.cutoff


def result(name: str, ndcg_U: Any, ece: float = 0.0) -> EvaluationResult:
    no_probabilities = Probabilities(ece=ece, brier=0.0, points=())
    return EvaluationResult(
        name, {}, {MAIN: np.asarray(ndcg_U)}, 0.5, no_probabilities, None, ScoreReading(None, None),
        Cost(0.0, 0.0, 0.0), {}, {},
    )  # fmt: skip


def test_trees_on_many_pairs_learn_in_larger_steps(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = TrainingWindows(histories_of(shop), cutoffs_of(shop))
    data = training_data(windows, windows.histories, windows.cutoffs.test)
    used: list[BoostingSettings] = []
    monkeypatch.setattr(boosting, "grow", lambda settings, *_: used.append(settings))
    for many in (10**9, 1):
        monkeypatch.setattr(boosting, "MANY_PAIRS", many)
        BoostingChallenger().train(data, no_callback)
    assert [one.learning_rate for one in used] == [0.05, 0.1]


@pytest.mark.parametrize(("gain", "wins"), [(0.05, True), (0.001, False), (0.0, False), (-0.05, False)])
def test_the_interval_decides(gain: float, wins: bool) -> None:
    random = np.random.default_rng(2)
    base_U = random.uniform(size=500)
    comparison = compare(result("new", base_U + random.normal(gain, 0.2, 500)), [result("counts-1", base_U)])
    assert comparison.is_won is wins


def test_a_challenger_is_compared_with_the_best_opponent() -> None:
    opponents = [result("counts-1", [0.5, 0.5]), result("old", [0.7, 0.7])]
    comparison = compare(result("new", [0.6, 0.6]), opponents)
    assert comparison.best.name == "old"
    assert not comparison.is_won


@pytest.mark.parametrize(
    ("gain", "error", "leads"),
    [
        ((0.05, 0.05), (0.03, 0.01), "second"),  # equally well: calibration decides
        ((0.05, 0.049), (0.01, 0.03), "first"),
        ((0.09, 0.05), (0.03, 0.01), "first"),  # ranks better
        ((0.05, 0.0), (0.03, 0.01), "first"),  # the second did not win
    ],
)
def test_of_winners_that_rank_equally_well_the_best_calibrated_leads(
    won: Promotion, gain: tuple[float, float], error: tuple[float, float], leads: str
) -> None:
    base_U = np.random.default_rng(3).uniform(0.2, 0.8, 500)
    noise_U = np.random.default_rng(4).normal(0.0, 0.1, 500)
    outcomes = tuple(
        Outcome(
            name, trained(won), compare(result(name, base_U + of + noise_U * sign, ece), [result("counts-1", base_U)])
        )
        for name, of, sign, ece in zip(("first", "second"), gain, (1, -1), error, strict=True)
    )
    assert Promotion(won.cutoffs, outcomes, 500).leader.kind == leads


def test_the_outcome_is_one_line() -> None:
    difference = Difference(0.028, -0.0191, 0.0371)
    assert promotion_line("boosting-1.20260201 promoted", 0.5612, 0.5333, "counts-1", difference) == (
        "boosting-1.20260201 promoted: nDCG@10 .561 against .533 of counts-1, difference +.028 [-.019, +.037]"
    )


def test_progress_is_reported_as_often_as_announced(shop: Any) -> None:
    steps: list[str] = []
    promote(NAMED, cutoffs_of(shop), histories_of(shop), (), steps.append)
    assert len(steps) == steps_of(list(NAMED.values()))


def test_cutoffs_of_a_long_log_lie_a_week_apart_and_each_has_a_week_to_look_back_on() -> None:
    through = date(2026, 2, 1)
    young = training_cutoffs(through, date(2026, 1, 5))
    assert (young.train, young.validation, young.test) == (
        (date(2026, 1, 11),), date(2026, 1, 18), date(2026, 1, 25),
    )  # fmt: skip
    old = training_cutoffs(through, date(2025, 1, 1))
    assert old.train == tuple(date(2026, 1, 11) - number * WEEK for number in (3, 2, 1, 0))


@pytest.mark.parametrize(
    ("oldest", "says"),
    [
        (
            date(2026, 1, 12),
            r"for a horizon of 7 days: found days in interest.sequences: 21, from 2026-01-12; expected 22 .* "
            r"\(here 2026-02-02 at the earliest\); or set horizon_days to 6 or less",
        ),
        (None, r"found days in interest.sequences: none; expected 22 at least, .*; run more days"),
    ],
)
def test_a_log_that_is_too_young_is_refused(oldest: date | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        training_cutoffs(date(2026, 2, 1), oldest)


def test_several_test_windows_are_predicted_by_one_training_and_the_refit_has_them(shop: Any) -> None:
    cutoffs = training_cutoffs(shop.last_day, shop.last_day - timedelta(days=41), test_windows=2)
    assert cutoffs.tests == (shop.last_day - 2 * WEEK, shop.last_day - WEEK)
    days = {*cutoffs.all, *map(cutoffs.end_of, cutoffs.all)}
    histories = {day: history_of(shop.until(day)) for day in days}
    promotion = promote(NAMED, cutoffs, histories, (), no_callback)
    rows = trained(promotion).rows
    assert max(rows) == end_of_day(cutoffs.validation)
    tested = {user for day in cutoffs.tests for user in window_of(histories, cutoffs, day).past.user_id_U}
    assert len(promotion.leader.comparison.challenger.value_of[MAIN]) == len(tested)
    assert promotion.test_users <= len(tested)


def test_a_test_week_without_events_is_refused(shop: Any) -> None:
    quiet = {**histories_of(shop), shop.last_day: history_of(shop.until(shop.last_day - WEEK))}
    with pytest.raises(InputError, match="too few test users: found 0 who were known"):
        run(shop, quiet)


def test_a_log_of_few_users_is_refused(shop: Any) -> None:
    few = {day: history.of_users(np.arange(history.users) < 20) for day, history in histories_of(shop).items()}
    with pytest.raises(InputError, match=r"too little training data in the 7 days after .*: found \d+ users"):
        run(shop, few)


def answers(promotion: Promotion) -> dict[str, str]:
    return {one.question: one.answer for one in findings(promotion, "new promoted", 61.4)}


def test_a_training_says_what_won_where_and_at_what_cost(won: Promotion) -> None:
    said = answers(won)
    assert said["Which model won?"].startswith("new promoted: nDCG@10 .")
    assert said["On whom?"] == (
        f"tested on {won.test_users:,} users who touched a tag in the 7 days through {won.cutoffs.last}; "
        f"trained on 2 earlier windows"
    )
    leader = won.leader.comparison.challenger
    assert leader.before is not None and f"{leader.before.ece:.3f}"[1:] in said["How well calibrated?"]
    assert said["At what cost?"].startswith("the training took 61 s; scoring the test users ")
    assert "10+ sessions" in said["Where?"] and " users)" in said["Where?"]
    assert said["Where?"].endswith(", among groups of 30 users or more")
    assert "21 days more give the training all its windows" in said["What would make it better?"]


@pytest.mark.parametrize(
    ("difference", "advice"),
    [
        (Difference(0.01, -0.01, 0.03), "with about 4 times as many, such a lead would be significant"),
        (Difference(0.0001, -0.02, 0.02), "such a lead needs more than 20 times as many users to be significant"),
        (Difference(-0.01, -0.02, 0.0), "counts-1 ranks at least as well"),
    ],
)
def test_the_advice_follows_the_interval(won: Promotion, difference: Difference, advice: str) -> None:
    one = won.leader
    comparison = Comparison(one.comparison.challenger, one.comparison.opponents, one.comparison.best, difference)
    lost = Promotion(won.cutoffs, (Outcome(one.kind, one.trained, comparison),), won.test_users)
    assert advice in answers(lost)["What would make it better?"]


def test_a_challenger_that_is_behind_everywhere_has_no_lead(won: Promotion) -> None:
    one = won.leader
    best = one.comparison.best.cohort_figures
    worse = {cohort: {MAIN: best[cohort][MAIN] - 1 - place} for place, cohort in enumerate(best)}
    challenger = replace(one.comparison.challenger, cohort_figures=worse)
    lost = Promotion(won.cutoffs, (replace(one, comparison=replace(one.comparison, challenger=challenger)),), 9)
    assert answers(lost)["Where?"].startswith("it is behind in every group of 30 users or more: least, -")


def test_the_page_of_a_training_has_every_answer_and_every_model(won: Promotion) -> None:
    found = findings(won, "<new> promoted", 61.4)
    html = render_page(won, found, "training-1", {"sequences": 42})
    assert "&lt;new&gt; promoted" in html and "<new>" not in html
    assert all(escape(one.answer[1:]) in html for one in found[1:])
    assert all(f"<td>{result.name}</td>" in html for result in won.results)
    assert html.count("<svg") == 3 and "<script" not in html and "nan" not in html
    assert "Run training-1; snapshots sequences 42" in html
