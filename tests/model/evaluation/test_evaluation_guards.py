"""Whoever knows the future is caught, and whoever does not is let through."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pytest

from model.data.arrays import Floats
from model.data.cutoffs import Split
from model.data.days import end_of_day
from model.data.folds import Known, Lessons, lesson_of
from model.data.history import History
from model.data.labels import Lesson
from model.data.popularity import popularity
from model.evaluation.backtest import evaluate
from model.evaluation.entrants import ReadyCounts, prepared
from model.evaluation.holdout import exam_at, known_at
from model.evaluation.leakage import (
    PLANTED_TAG,
    LeakError,
    require_alone_as_in_company,
    require_blind_to_the_future,
    scribbled_over,
    with_another_future,
)
from model.interfaces import Ranker


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
    """A Ranker of what was counted in some history."""

    source: History

    def strength_UT(self, past: History) -> Floats:
        return touches_of(past, past) + touches_of(self.source, past)


@dataclass(frozen=True, eq=False)
class PeekingWhenAsked:
    """A Contestant that keeps a hold on the whole history and looks after the cut when it is asked."""

    whole: History
    states_probabilities: bool = False
    name: str = "peeking"

    def settings(self) -> Mapping[str, Any]:
        return {}

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> Ranker:
        whole = self.whole

        class Peeking:
            def strength_UT(self, past: History) -> Floats:
                return touches_of(past, past) + touches_of(whole.since(cut), past)

        return Peeking()


@dataclass(frozen=True, eq=False)
class PeekingWhenPrepared(PeekingWhenAsked):
    """Copies the future when it is prepared."""

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> Ranker:
        return Fixed(self.whole.since(cut))


@dataclass(frozen=True)
class PeekingReady:
    """A model built from a later day than it should be."""

    day: date
    states_probabilities: bool = False
    name: str = "built too late"

    def as_of(self, known: Known, cut: date) -> Ranker:
        return Fixed(known[self.day])


@dataclass(frozen=True)
class CountingLaterEvents(PeekingReady):
    """Looks at no later tag, but at how much there is of each user on a later day."""

    name: str = "knows who is busy"

    def as_of(self, known: Known, cut: date) -> Ranker:
        later = known[self.day]
        events_of = dict(zip(later.user_id_U, later.event_count_U, strict=True))

        class Busy:
            def strength_UT(self, past: History) -> Floats:
                return touches_of(past, past) * np.array([[events_of.get(user, 0)] for user in past.user_id_U])

        return Busy()


@dataclass(frozen=True)
class InCompany:
    """Divides by what the company does."""

    states_probabilities: bool = False
    name: str = "relative"

    def as_of(self, known: Known, cut: date) -> Ranker:
        class Relative:
            def strength_UT(self, past: History) -> Floats:
                count_UT = touches_of(past, past)
                return count_UT / max(count_UT.sum(), 1.0)

        return Relative()


@dataclass(frozen=True, eq=False)
class CountsLessons:
    """Honest: counts what was touched in the windows that it is given."""

    states_probabilities: bool = False
    name: str = "counts lessons"
    seen: list[Lesson] = field(default_factory=list)

    def settings(self) -> Mapping[str, Any]:
        return {}

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> Ranker:
        self.seen[:] = taught

        class Answers:
            def strength_UT(self, past: History) -> Floats:
                touched_T = np.zeros(len(past.tag_T))
                for lesson in taught:
                    names = lesson.past.tag_T[lesson.touched.tag_P]
                    is_asked = np.isin(names, past.tag_T)
                    touched_T += np.bincount(np.searchsorted(past.tag_T, names[is_asked]), minlength=len(touched_T))
                return np.tile(touched_T, (past.users, 1))

        return Answers()


def test_honest_contestants_pass(known: Known, windows: Split, decayed: Callable[..., Any]) -> None:
    families = {"decayed": [decayed(2.0), decayed(9.0)], "counts lessons": [CountsLessons()]}
    assert len(evaluate(known, windows, families, [ReadyCounts()]).match.standings) == 3


@pytest.mark.parametrize("peeking", [PeekingWhenAsked, PeekingWhenPrepared])
def test_a_contestant_that_holds_on_to_the_whole_history_is_caught(
    known: Known, windows: Split, peeking: type[PeekingWhenAsked]
) -> None:
    with pytest.raises(LeakError, match="peeking has seen the future: what it says as of 2026-03-24 changed for"):
        evaluate(known, windows, {"peeking": [peeking(known[windows.last])]})


def test_the_same_contestant_passes_if_it_holds_on_to_nothing_later(known: Known, windows: Split) -> None:
    evaluate(known, windows, {"peeking": [PeekingWhenAsked(known[windows.test])]})


@pytest.mark.parametrize("kind", [PeekingReady, CountingLaterEvents])
def test_a_model_built_from_a_later_day_is_caught(known: Known, windows: Split, kind: type[PeekingReady]) -> None:
    with pytest.raises(LeakError, match=f"{kind.name} has seen the future"):
        evaluate(known, windows, {}, [kind(windows.last)])
    evaluate(known, windows, {}, [kind(windows.test)])


def test_a_mistake_of_the_referee_itself_is_caught(
    known: Known, windows: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the test window were among the lessons."""
    monkeypatch.setattr(Split, "taught_by", lambda windows, cut: windows.cuts)
    with pytest.raises(LeakError, match="counts lessons has seen the future"):
        evaluate(known, windows, {"counts lessons": [CountsLessons()]})


def test_a_contestant_that_is_not_repeatable_is_told_what_to_do(known: Known, windows: Split) -> None:
    class Dice:
        def strength_UT(self, past: History) -> Floats:
            return np.random.default_rng().uniform(size=(past.users, len(past.tag_T)))

    with pytest.raises(LeakError, match="it is not repeatable: fix its seeds"):
        require_blind_to_the_future("dice", lambda known: Dice(), known, windows.test)


def test_nothing_is_changed_for_good(known: Known, windows: Split) -> None:
    before = {day: (history.tag_M.copy(), history.at_E.copy()) for day, history in known.items()}
    with suppress(RuntimeError), scribbled_over(known, windows.test):
        assert not np.array_equal(known[windows.last].tag_M, before[windows.last][0])
        assert np.array_equal(known[windows.test].tag_M, before[windows.test][0])
        raise RuntimeError("even then")
    with_another_future(known, windows.test)
    for day, (tag_M, at_E) in before.items():
        assert np.array_equal(known[day].tag_M, tag_M) and np.array_equal(known[day].at_E, at_E)


def test_another_future_has_the_same_past(known: Known, windows: Split) -> None:
    other, moment = with_another_future(known, windows.test), end_of_day(windows.test)
    assert other[windows.test] is known[windows.test]
    true, altered = known[windows.last], other[windows.last]
    past, same = true.before(moment), altered.before(moment)
    for name in ("user_E", "at_E", "weight_E", "item_E", "session_E", "action_E", "event_M", "tag_M", "user_id_U"):
        assert np.array_equal(getattr(past, name), getattr(same, name)), name
    later, changed = true.since(moment), altered.since(moment)
    assert len(changed.at_E) < true.users + len(later.at_E)
    assert (changed.tag_T[changed.tag_M] == PLANTED_TAG).sum() == true.users
    assert not np.array_equal(touches_of(later, past), touches_of(changed, past))
    order_E = np.lexsort((altered.at_E, altered.user_E))
    assert np.array_equal(order_E, np.arange(len(order_E)))
    assert (np.diff(altered.event_M) >= 0).all()


def test_the_future_reaches_neither_vocabulary_nor_popularity_nor_lessons(known: Known, windows: Split) -> None:
    other = with_another_future(known, windows.test)
    for day in windows.cuts[:-1]:
        true, altered = lesson_of(known, windows, day), lesson_of(other, windows, day)
        assert true.past.tag_T.tolist() == altered.past.tag_T.tolist()
        assert np.array_equal(true.touched.key_P, altered.touched.key_P)
        assert np.array_equal(true.share_T, altered.share_T)
    true_past, altered_past = known_at(known, windows.test), known_at(other, windows.test)
    assert true_past.tag_T.tolist() == altered_past.tag_T.tolist()
    for name in ("event_count_U", "last_event_at_U"):
        assert np.array_equal(getattr(true_past, name), getattr(altered_past, name))
    crowds = [popularity(past, end_of_day(windows.test)) for past in (true_past, altered_past)]
    assert np.array_equal(crowds[0].share_T, crowds[1].share_T)
    exam, altered_exam = exam_at(known, windows, windows.test), exam_at(other, windows, windows.test)
    assert altered_exam.asked.tag_T.tolist() == exam.asked.tag_T.tolist()
    assert PLANTED_TAG not in altered_exam.everybody.tag_T
    assert altered_exam.unknown_U.min() == 1  # the planted tag, which nobody can foretell


def test_a_user_alone_is_told_what_it_is_told_in_company(
    known: Known, windows: Split, decayed: Callable[..., Any]
) -> None:
    past = exam_at(known, windows, windows.test).asked
    require_alone_as_in_company(
        "decayed", prepared(decayed(2.0), Lessons(known, windows), known, windows.test), past, 1e-9
    )
    require_alone_as_in_company("counts-1", ReadyCounts().as_of(known, windows.test), past, 1e-9)


def test_a_ranker_that_looks_at_the_company_is_caught(known: Known, windows: Split) -> None:
    with pytest.raises(LeakError, match=r"relative says something else of a user asked about alone .* among 200"):
        evaluate(known, windows, {}, [InCompany()])


def test_the_guards_errors_are_not_to_be_tried_again() -> None:
    assert LeakError.exit_code == 1
