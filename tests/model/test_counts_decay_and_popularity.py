from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa

from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import decayed_weight_E, history_of
from model.data.popularity import fit_popularity

SequencesOf = Callable[..., pa.Table]
END = end_of_day(date(2026, 1, 31))


def test_an_event_counts_half_after_one_half_life_and_a_quarter_after_two(sequences_of: SequencesOf) -> None:
    history = history_of(sequences_of([("u", "2026-01-29", "a", 7, 3.0), ("u", "2026-01-31", "a")]))
    moment = history.at_E[1]
    assert decayed_weight_E(history, moment, half_life_days=1.0).tolist() == [0.75, 1.0]
    assert decayed_weight_E(history, moment, half_life_days=2.0).tolist() == [1.5, 1.0]


def test_a_busy_user_makes_nothing_popular(sequences_of: SequencesOf) -> None:
    touches = [("busy", f"2026-01-31 10:{minute:02d}", "a") for minute in range(50)]
    touches += [(user, "2026-01-31 10:49", "b") for user in ("x", "y", "z")]
    popularity = fit_popularity(history_of(sequences_of(touches)), END)
    np.testing.assert_allclose(popularity.share_of(popularity.tag_T), [0.25, 0.75])
    assert popularity.popular_tags().tolist() == ["b", "a"]


def test_what_was_popular_a_week_ago_is_half_as_popular(sequences_of: SequencesOf) -> None:
    history = history_of(sequences_of([("x", "2026-01-24 12:00", "old"), ("y", "2026-01-31 12:00", "new")]))
    new, old = fit_popularity(history, END).share_T
    assert np.isclose(old, new / 2)


def test_equally_popular_tags_stand_by_name_and_only_twenty_are_popular(sequences_of: SequencesOf) -> None:
    tags = [f"t{number:02d}" for number in range(30)]
    popularity = fit_popularity(history_of(sequences_of([("x", "2026-01-31", " ".join(reversed(tags)))])), END)
    assert popularity.popular_tags().tolist() == tags[:20]


def test_items_of_a_tag_share_its_users_and_no_item_is_none(sequences_of: SequencesOf) -> None:
    touches = [("x", "2026-01-31", "a", 5), ("y", "2026-01-31", "a", 5), ("z", "2026-01-31", "a", -9)]
    popularity = fit_popularity(history_of(sequences_of([*touches, ("z", "2026-01-31", "a", 0)])), END)
    assert popularity.item_K.tolist() == [5, -9]
    np.testing.assert_allclose(popularity.share_K, [2 / 3, 1 / 3])


def test_a_tag_of_no_user_counts_as_if_half_a_user_had_touched_it(sequences_of: SequencesOf) -> None:
    popularity = fit_popularity(
        history_of(sequences_of([(user, "2026-01-31 23:59:59.999999", "b") for user in "uvwxy"])), END
    )
    share_T = popularity.share_of(np.array(["a", "b", "c"], dtype=object))
    np.testing.assert_allclose(share_T, [0.1, 1.0, 0.1])


def test_the_moment_of_a_day_is_its_utc_midnight() -> None:
    assert end_of_day(date(1970, 1, 1)) == MICROS_PER_DAY
