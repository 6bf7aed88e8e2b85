"""V-SKNN against an implementation of a few lines that goes session by session."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from model.baselines.interactions import Interactions
from model.baselines.vsknn import VsknnSettings, fit_vsknn
from model.data.arrays import Floats

ITEMS = 12
USERS = 25
Sessions = list[list[list[int]]]  # items of the sessions of the users


def interactions_of(users: Sessions, at: list[list[int]] | None = None) -> Interactions:
    """Return the trails; `at` has the moment of each session."""
    steps = [
        (user, item, number, at[user][number] if at else 0)
        for user, sessions in enumerate(users)
        for number, items in enumerate(sessions)
        for item in items
    ]
    user_N, item_N, session_N, at_N = np.array(steps, dtype=np.int64).reshape(-1, 4).T
    return Interactions(len(users), ITEMS, user_N, item_N, at_N, session_N)


@pytest.fixture
def log_of_users() -> tuple[Sessions, list[list[int]]]:
    random = np.random.default_rng(7)
    counts = [0, 1, *random.integers(1, 6, USERS - 2).tolist()]
    users = [[random.integers(0, ITEMS, random.integers(1, 7)).tolist() for _ in range(count)] for count in counts]
    moments = iter(random.permutation(1000).tolist())
    return users, [sorted(next(moments) for _ in sessions) for sessions in users]


def naive(users: Sessions, at: list[list[int]], settings: VsknnSettings, asked: list[list[int]]) -> Floats:
    """Return the strengths of one user, of whom `asked` has the sessions."""
    everyone = [
        (moment, set(items)) for u, a in zip(users, at, strict=True) for moment, items in zip(a, u, strict=True)
    ]
    newest_first = [items for _, items in sorted(everyone, key=lambda one: -one[0])]
    strength = np.zeros(ITEMS)
    if not asked:
        return strength
    steps = [item for session in asked for item in session]
    query = steps[-min(max(len(asked[-1]), settings.extended_to), settings.query_steps, len(steps)) :]
    weight = {item: (place + 1) / len(query) for place, item in enumerate(query)}
    sharing = [items for items in newest_first if items & weight.keys()][: settings.sample]
    likeness = [
        sum(weight.get(item, 0) for item in sorted(items)) / len(items) ** settings.length_power for items in sharing
    ]
    nearest = sorted(range(len(sharing)), key=lambda number: (-round(likeness[number], 12), number))[
        : settings.neighbours
    ]
    for number in nearest:
        for item in sharing[number]:
            rarity = log(len(newest_first) / sum(item in items for items in newest_first)) / log(len(newest_first))
            strength[item] += likeness[number] * rarity**settings.idf_power / sum(likeness[n] for n in nearest)
    strength *= 1 - settings.reminder
    fading = [settings.reminder_fading**back for back in range(len(asked))]
    for faded, items in zip(fading, reversed(asked), strict=True):
        for item in set(items):
            strength[item] += settings.reminder * faded / sum(fading)
    return strength


@pytest.mark.parametrize(
    "settings",
    [
        VsknnSettings(),
        VsknnSettings(neighbours=3, sample=1000),
        VsknnSettings(neighbours=4, sample=9, length_power=0.3),
        VsknnSettings(neighbours=5, query_steps=3, idf_power=1.0),
        VsknnSettings(neighbours=5, query_steps=8, extended_to=6, idf_power=0.5),
        VsknnSettings(neighbours=5, reminder=0.4, reminder_fading=0.7),
        VsknnSettings(reminder=1.0),
    ],
    ids=str,
)
def test_strengths_are_those_of_the_definition(
    log_of_users: tuple[Sessions, list[list[int]]], settings: VsknnSettings
) -> None:
    users, at = log_of_users
    scores = fit_vsknn(interactions_of(users, at), settings).scores_BV(interactions_of(users, at))
    expected = np.array([naive(users, at, settings, sessions) for sessions in users])
    np.testing.assert_allclose(scores, expected, atol=1e-9)
    assert scores.min() >= 0 and scores.max() <= 1 + 1e-9


def test_a_user_alone_gets_the_row_of_the_batch(log_of_users: tuple[Sessions, list[list[int]]]) -> None:
    interactions = interactions_of(*log_of_users)
    fitted = fit_vsknn(interactions, VsknnSettings(neighbours=5, sample=20, extended_to=4, idf_power=1.0, reminder=0.3))
    alone = np.concatenate([fitted.scores_BV(one) for one in interactions.batches(1)])
    np.testing.assert_array_equal(alone, fitted.scores_BV(interactions))


def test_the_last_thing_weighs_most_and_a_neighbour_tells_what_came_with_it() -> None:
    sessions: Sessions = [[[0, 5]], [[1, 6]]]
    fitted = fit_vsknn(interactions_of(sessions, [[1], [2]]), VsknnSettings())
    # The query 0, 1 weighs .5 and 1, so that the session of 1 has two thirds of the vote.
    scores = fitted.scores_BV(interactions_of([[[0, 1]]]))[0]
    assert scores[[0, 5, 1, 6]] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert scores.sum() == pytest.approx(2)


def test_an_item_follows_the_one_of_the_query_without_which_it_loses_most() -> None:
    """Item 5 comes in two sessions with 2 and in one with 1; the user touched 1 last and 2 before."""
    users = [[[5, 2, 7]], [[5, 2, 8]], [[5, 1, 9]], [[2, 1]]]
    sessions = fit_vsknn(interactions_of(users), VsknnSettings())
    asked = interactions_of([[[2, 1]], [[1, 2]]])
    user_N, item_N = np.array([0, 0, 0, 1]), np.array([5, 7, 9, 5])
    # With 2 first, it weighs half of 1: two sessions and one are level, and the first item counts.
    assert sessions.followed_N(asked, user_N, item_N).tolist() == [1, 2, 1, 2]


def test_only_the_most_recent_sessions_are_asked() -> None:
    sessions: Sessions = [[[0, 5]], [[0, 6]]]
    for at, told_of in (([[1], [2]], 6), ([[2], [1]], 5)):
        fitted = fit_vsknn(interactions_of(sessions, at), VsknnSettings(sample=1))
        assert fitted.scores_BV(interactions_of([[[0]]]))[0].nonzero()[0].tolist() == [0, told_of]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"neighbours": 0}, "of at least 1"),
        ({"sample": 0}, "of at least 1"),
        ({"query_steps": 0}, "of at least 1"),
        ({"reminder": 1.5}, "expected reminder from 0 to 1"),
        ({"reminder_fading": 0.0}, "reminder_fading above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(VsknnSettings(), **change)  # type: ignore[arg-type]
