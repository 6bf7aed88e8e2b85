"""The leakage checks reject models that have seen the future and accept the others."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pytest

from model.data.arrays import Floats
from model.data.cutoffs import Cutoffs
from model.data.days import end_of_day
from model.data.folds import Histories, TrainingWindows, history_at, window_of
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.popularity import fit_popularity
from model.evaluation.backtest import evaluate
from model.evaluation.entrants import PretrainedCounts, fit_as_of
from model.evaluation.holdout import build_test_set
from model.evaluation.leakage import (
    PLANTED_TAG,
    LeakError,
    require_batch_independence,
    require_no_future_leak,
    shuffled_in_place,
    with_perturbed_future,
)
from model.interfaces import FittedModel, Model, TrainingData


def touches_of(history: History, past: History) -> Floats:
    """Count the touches in `history` of the users and tags of `past`."""
    count_UT = np.zeros((past.users, len(past.tag_T)))
    user_M, tag_M = history.user_id_U[history.user_E[history.event_M]], history.tag_T[history.tag_M]
    user_of = {user: row for row, user in enumerate(past.user_id_U)}
    tag_of = {tag: column for column, tag in enumerate(past.tag_T)}
    for user, tag in zip(user_M, tag_M, strict=True):
        if user in user_of and tag in tag_of:
            count_UT[user_of[user], tag_of[tag]] += 1
    return count_UT


@dataclass(frozen=True, eq=False)
class Fixed:
    """Scores by the counts of a given history."""

    source: History

    def scores_UT(self, past: History) -> Floats:
        return touches_of(past, past) + touches_of(self.source, past)


@dataclass(frozen=True, eq=False)
class LeaksOnScoring(Model):
    """Keeps the whole history, and reads events after the cutoff when it scores."""

    whole: History
    predicts_probabilities: bool = False
    name: str = "leaking"

    def settings(self) -> Mapping[str, Any]:
        return {}

    def fit(self, data: TrainingData) -> FittedModel:
        whole, cutoff = self.whole, data.cutoff

        class Leaking:
            def scores_UT(self, past: History) -> Floats:
                return touches_of(past, past) + touches_of(whole.since(cutoff), past)

        return Leaking()


@dataclass(frozen=True, eq=False)
class LeaksOnFit(LeaksOnScoring):
    """Copies later events when it is fitted."""

    def fit(self, data: TrainingData) -> FittedModel:
        return Fixed(self.whole.since(data.cutoff))


@dataclass(frozen=True)
class LeaksFromLaterDay:
    """A model built from a later day than it should be."""

    day: date
    predicts_probabilities: bool = False
    name: str = "built too late"

    def as_of(self, known: Histories, cutoff: date) -> FittedModel:
        return Fixed(known[self.day])


@dataclass(frozen=True)
class CountingLaterEvents(LeaksFromLaterDay):
    """Reads no later tag, but each user's number of events on a later day."""

    name: str = "knows who is busy"

    def as_of(self, known: Histories, cutoff: date) -> FittedModel:
        later = known[self.day]
        events_of = dict(zip(later.user_id_U, later.event_count_U, strict=True))

        class Busy:
            def scores_UT(self, past: History) -> Floats:
                return touches_of(past, past) * np.array([[events_of.get(user, 0)] for user in past.user_id_U])

        return Busy()


@dataclass(frozen=True)
class DependsOnBatch:
    """Divides by the counts of the whole batch."""

    predicts_probabilities: bool = False
    name: str = "relative"

    def as_of(self, known: Histories, cutoff: date) -> FittedModel:
        class Relative:
            def scores_UT(self, past: History) -> Floats:
                count_UT = touches_of(past, past)
                return count_UT / max(count_UT.sum(), 1.0)

        return Relative()


@dataclass(frozen=True, eq=False)
class CountsWindows(Model):
    """Has no leak: counts the touches of the windows that it is given."""

    predicts_probabilities: bool = False
    name: str = "counts windows"
    seen: list[LabeledWindow] = field(default_factory=list)

    def settings(self) -> Mapping[str, Any]:
        return {}

    def fit(self, data: TrainingData) -> FittedModel:
        self.seen[:] = data.windows

        class Answers:
            def scores_UT(self, past: History) -> Floats:
                touched_T = np.zeros(len(past.tag_T))
                for window in data.windows:
                    names = window.past.tag_T[window.touched.tag_P]
                    is_asked = np.isin(names, past.tag_T)
                    touched_T += np.bincount(np.searchsorted(past.tag_T, names[is_asked]), minlength=len(touched_T))
                return np.tile(touched_T, (past.users, 1))

        return Answers()


def test_models_without_a_leak_pass(known: Histories, windows: Cutoffs, decayed: Callable[..., Any]) -> None:
    families = {"decayed": [decayed(2.0), decayed(9.0)], "counts windows": [CountsWindows()]}
    assert len(evaluate(known, windows, families, [PretrainedCounts()]).leaderboard.rows) == 3


@pytest.mark.parametrize("leaking", [LeaksOnScoring, LeaksOnFit])
def test_a_model_that_keeps_the_whole_history_is_detected(
    known: Histories, windows: Cutoffs, leaking: type[LeaksOnScoring]
) -> None:
    with pytest.raises(LeakError, match="leaking has seen the future: its scores as of 2026-03-24 changed for"):
        evaluate(known, windows, {"leaking": [leaking(known[windows.last])]})


def test_the_same_model_passes_if_it_keeps_nothing_later(known: Histories, windows: Cutoffs) -> None:
    evaluate(known, windows, {"leaking": [LeaksOnScoring(known[windows.test])]})


@pytest.mark.parametrize("kind", [LeaksFromLaterDay, CountingLaterEvents])
def test_a_model_of_a_later_day_is_detected(known: Histories, windows: Cutoffs, kind: type[LeaksFromLaterDay]) -> None:
    with pytest.raises(LeakError, match=f"{kind.name} has seen the future"):
        evaluate(known, windows, {}, [kind(windows.last)])
    evaluate(known, windows, {}, [kind(windows.test)])


def test_a_fault_of_the_evaluation_itself_is_detected(
    known: Histories, windows: Cutoffs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test window is among the training windows."""
    monkeypatch.setattr(Cutoffs, "ended_by", lambda windows, cutoff: windows.all)
    with pytest.raises(LeakError, match="counts windows has seen the future"):
        evaluate(known, windows, {"counts windows": [CountsWindows()]})


def test_the_error_for_a_model_that_is_not_repeatable_names_the_cure(known: Histories, windows: Cutoffs) -> None:
    class Dice:
        def scores_UT(self, past: History) -> Floats:
            return np.random.default_rng().uniform(size=(past.users, len(past.tag_T)))

    with pytest.raises(LeakError, match="it is not repeatable: fix its seeds"):
        require_no_future_leak("dice", lambda known: Dice(), known, windows.test)


def test_the_histories_are_restored(known: Histories, windows: Cutoffs) -> None:
    before = {day: (history.tag_M.copy(), history.at_E.copy()) for day, history in known.items()}
    with suppress(RuntimeError), shuffled_in_place(known, windows.test):
        assert not np.array_equal(known[windows.last].tag_M, before[windows.last][0])
        assert np.array_equal(known[windows.test].tag_M, before[windows.test][0])
        raise RuntimeError("also after an error")
    with_perturbed_future(known, windows.test)
    for day, (tag_M, at_E) in before.items():
        assert np.array_equal(known[day].tag_M, tag_M) and np.array_equal(known[day].at_E, at_E)


def test_a_perturbed_future_leaves_the_past_equal(known: Histories, windows: Cutoffs) -> None:
    other, moment = with_perturbed_future(known, windows.test), end_of_day(windows.test)
    assert other[windows.test] is known[windows.test]
    true, perturbed = known[windows.last], other[windows.last]
    past, same = true.before(moment), perturbed.before(moment)
    for name in ("user_E", "at_E", "weight_E", "item_E", "session_E", "action_E", "event_M", "tag_M", "user_id_U"):
        assert np.array_equal(getattr(past, name), getattr(same, name)), name
    later, changed = true.since(moment), perturbed.since(moment)
    assert len(changed.at_E) < true.users + len(later.at_E)
    assert (changed.tag_T[changed.tag_M] == PLANTED_TAG).sum() == true.users
    assert not np.array_equal(touches_of(later, past), touches_of(changed, past))
    order_E = np.lexsort((perturbed.at_E, perturbed.user_E))
    assert np.array_equal(order_E, np.arange(len(order_E)))
    assert (np.diff(perturbed.event_M) >= 0).all()


def test_the_future_reaches_neither_vocabulary_nor_popularity_nor_windows(known: Histories, windows: Cutoffs) -> None:
    other = with_perturbed_future(known, windows.test)
    for day in windows.all[:-1]:
        true, perturbed = window_of(known, windows, day), window_of(other, windows, day)
        assert true.past.tag_T.tolist() == perturbed.past.tag_T.tolist()
        assert np.array_equal(true.touched.key_P, perturbed.touched.key_P)
        assert np.array_equal(true.share_T, perturbed.share_T)
    true_past, perturbed_past = history_at(known, windows.test), history_at(other, windows.test)
    assert true_past.tag_T.tolist() == perturbed_past.tag_T.tolist()
    for name in ("event_count_U", "last_event_at_U"):
        assert np.array_equal(getattr(true_past, name), getattr(perturbed_past, name))
    popularities = [fit_popularity(past, end_of_day(windows.test)) for past in (true_past, perturbed_past)]
    assert np.array_equal(popularities[0].share_T, popularities[1].share_T)
    test_set, perturbed_test_set = (
        build_test_set(known, windows, windows.test),
        build_test_set(other, windows, windows.test),
    )
    assert perturbed_test_set.past.tag_T.tolist() == test_set.past.tag_T.tolist()
    assert PLANTED_TAG not in perturbed_test_set.all_users.tag_T
    assert perturbed_test_set.unknown_U.min() == 1  # the planted tag, which no model can predict


def test_a_user_alone_has_the_scores_of_the_batch(
    known: Histories, windows: Cutoffs, decayed: Callable[..., Any]
) -> None:
    past = build_test_set(known, windows, windows.test).past
    require_batch_independence(
        "decayed", fit_as_of(decayed(2.0), TrainingWindows(known, windows), known, windows.test), past, 1e-9
    )
    require_batch_independence("counts-1", PretrainedCounts().as_of(known, windows.test), past, 1e-9)


def test_a_model_that_depends_on_the_batch_is_detected(known: Histories, windows: Cutoffs) -> None:
    with pytest.raises(LeakError, match=r"relative has other scores for a user alone than for the same user among 200"):
        evaluate(known, windows, {}, [DependsOnBatch()])


def test_leak_errors_are_not_retried() -> None:
    assert LeakError.exit_code == 1
