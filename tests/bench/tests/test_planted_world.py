"""The planted world and the perturbed histories of the bench."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from model.data.history import History
from pipeline.demo.catalogue import TAGS
from pipeline.demo.plan import DemoPlan
from tests.bench.perturbed_histories import (
    Sessions,
    boundaries_at_random,
    last_sessions,
    others_past,
    sessions_shuffled,
)
from tests.bench.planted_world import PlantedWorld, planted_world

AS_OF = date(2026, 1, 27)


@pytest.fixture(scope="module")
def planted() -> PlantedWorld:
    return planted_world(DemoPlan(users=60))


@pytest.fixture(scope="module")
def history(planted: PlantedWorld) -> History:
    return planted.history


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


def event_rows(history: History) -> list[tuple[object, ...]]:
    """Return every event with its tags, in order: user, moment, item, action, weight, tags."""
    tags: list[list[str]] = [[] for _ in history.user_E]
    for event, tag in zip(history.event_M, history.tag_M, strict=True):
        tags[event].append(str(history.tag_T[tag]))
    columns = (history.user_E, history.at_E, history.item_E, history.action_E, history.weight_E)
    return [(*row, *sorted(of)) for *row, of in zip(*(column.tolist() for column in columns), tags, strict=True)]


def session_lists(history: History) -> list[list[list[tuple[object, ...]]]]:
    """Return for each user the sessions, oldest first: each the events, without user and moment."""
    lists: list[list[list[tuple[object, ...]]]] = [[] for _ in range(history.users)]
    events, sessions = event_rows(history), Sessions.of(history)
    for first, last, user in zip(sessions.first_S, sessions.last_S, sessions.user_S, strict=True):
        lists[user].append([event[2:] for event in events[first : last + 1]])
    return lists


def test_the_world_is_the_generated_log_without_bots(planted: PlantedWorld, history: History) -> None:
    touches = planted.log.touches
    of_people = touches.actor < len(planted.log.people)
    assert len(history.at_E) == int(of_people.sum()) > 1000
    assert history.event_count_U.tolist() == np.bincount(touches.actor[of_people])[planted.person_U].tolist()
    assert set(history.tag_T) == set(TAGS)
    is_same_user = np.diff(history.user_E) == 0
    assert (np.diff(history.user_E) >= 0).all() and (np.diff(history.at_E)[is_same_user] >= 0).all()


def test_users_touch_their_planted_interests_most(planted: PlantedWorld, history: History) -> None:
    wants_UT = planted.planted_UT(AS_OF, history.user_id_U) > 0
    touches_UT = np.zeros(wants_UT.shape)
    np.add.at(touches_UT, (history.user_E[history.event_M], history.tag_M), 1)
    assert (wants_UT.sum(1) > 0).mean() > 0.9 and wants_UT.mean() < 0.2
    share_of_wanted = touches_UT[wants_UT].sum() / touches_UT.sum()
    assert share_of_wanted > 3 * wants_UT.mean()


@pytest.mark.parametrize("count", [1, 2, 8])
def test_last_sessions_are_exactly_those(history: History, count: int) -> None:
    kept = last_sessions(history, count)
    assert session_lists(kept) == [of[-count:] for of in session_lists(history)]
    assert set(event_rows(kept)) <= set(event_rows(history))
    assert (
        kept.session_counts_U().tolist()
        == np.minimum(Sessions.of(history).back_S() + 1, count)[
            np.unique(Sessions.of(history).user_S, return_index=True)[1]
        ].tolist()
    )


def test_shuffled_sessions_stay_whole(history: History, random: np.random.Generator) -> None:
    shuffled = sessions_shuffled(history, random)
    before, after = session_lists(history), session_lists(shuffled)
    assert before != after
    assert [sorted(of) for of in before] == [sorted(of) for of in after]
    first, last = (np.flatnonzero(np.diff(history.user_E, prepend=-1)), np.cumsum(np.bincount(history.user_E)) - 1)
    assert shuffled.at_E[first].tolist() == history.at_E[first].tolist()
    assert shuffled.at_E[last].tolist() == history.at_E[last].tolist()


def test_boundaries_at_random_leave_events_and_numbers_of_sessions(
    history: History, random: np.random.Generator
) -> None:
    redrawn = boundaries_at_random(history, random)
    assert event_rows(redrawn) == event_rows(history)
    numbers = [np.bincount(Sessions.of(one).user_S).tolist() for one in (history, redrawn)]
    assert numbers[0] == numbers[1]
    assert Sessions.of(redrawn).first_S.tolist() != Sessions.of(history).first_S.tolist()


@pytest.mark.parametrize("keeps_own", [False, True])
def test_pasting_keeps_the_newest_session_and_adds_one_other_users_old_ones(
    history: History, random: np.random.Generator, keeps_own: bool
) -> None:
    pasted = others_past(history, random, keeps_own)
    before, after = session_lists(history), session_lists(pasted)
    givers = []
    for user, of in enumerate(after):
        own = before[user] if keeps_own else before[user][-1:]
        assert of[-len(own) :] == own
        lent = of[: -len(own)]
        givers.append([other for other, old in enumerate(before) if old[:-1] == lent])
        assert any(giver != user for giver in givers[-1])
    newest = Sessions.of(history), Sessions.of(pasted)
    begins = [one.at_E[of.first_S[of.newest_U]].tolist() for one, of in zip((history, pasted), newest, strict=True)]
    assert begins[0] == begins[1]


@pytest.mark.parametrize(
    "alter",
    [
        lambda history, random: last_sessions(history, 2),
        sessions_shuffled,
        boundaries_at_random,
        lambda history, random: others_past(history, random, True),
    ],
)
def test_a_perturbed_history_is_a_valid_history(
    history: History, random: np.random.Generator, alter: Callable[[History, np.random.Generator], History]
) -> None:
    perturbed = alter(history, random)
    assert (np.diff(perturbed.user_E) >= 0).all() and (np.diff(perturbed.event_M) >= 0).all()
    is_same_user = np.diff(perturbed.user_E) == 0
    assert (np.diff(perturbed.at_E)[is_same_user] >= 0).all() and (np.diff(perturbed.session_E) >= 0).all()
    assert len(perturbed.session_id_S) == perturbed.session_E.max() + 1
    assert perturbed.user_id_U.tolist() == history.user_id_U.tolist()
    assert perturbed.event_count_U.tolist() == perturbed.event_counts_U().tolist()
