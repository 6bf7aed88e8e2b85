from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.counts.model import Counts1
from model.data.history import history_of
from model.data.profiles import PROFILES, cohorts, profiles_of
from tests.model.conftest import fit_counts

SequencesOf = Callable[..., pa.Table]
DAY = date(2026, 1, 31)
CLOCK = datetime(2026, 2, 1, tzinfo=UTC)


def profiles(model: Counts1, known: pa.Table, day: date = DAY) -> list[dict[str, Any]]:
    history = history_of(known)
    table = profiles_of(history, model.score(history), day, model.version, CLOCK, model.horizon_days)
    table.validate(full=True)
    assert table.schema == PROFILES
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def profile(touches: list[tuple[Any, ...]], sequences_of: SequencesOf, user: str = "u") -> dict[str, Any]:
    known = sequences_of(touches)
    return next(row for row in profiles(fit_counts(known, DAY), known) if row["user_id"] == user)


def interest(row: dict[str, Any], tag: str) -> dict[str, Any]:
    found: dict[str, Any] = next(interest for interest in row["interests"] if interest["tag"] == tag)
    return found


def test_one_event_of_one_user_makes_a_profile(sequences_of: SequencesOf) -> None:
    row = profile([("u", "2026-01-31 10:00", "tea", 42)], sequences_of)
    tea = row["interests"][0]
    assert (tea["tag"], tea["rank"], tea["is_new"], tea["trend"]) == ("tea", 1, True, 0.0)
    assert tea["evidence"] == ["u:2026-01-31"]
    assert 0 < tea["affinity"] < 1
    assert 0 < row["return_probability"] < 1
    assert [item["item"] for item in row["top_items"]] == [42]
    assert (row["event_count"], row["session_count"], row["cohort"]) == (1, 1, "1")
    assert row["last_event_at"] == datetime(2026, 1, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize(("horizon_days", "is_new"), [(1, False), (2, True), (7, True)])
def test_trend_and_new_tags_look_back_as_far_as_the_horizon(
    horizon_days: int, is_new: bool, sequences_of: SequencesOf
) -> None:
    known = sequences_of([("u", "2026-01-28 12:00", "jazz"), ("u", "2026-01-30 12:00", "tea")])
    (row,) = profiles(fit_counts(known, DAY, horizon_days), known)
    assert row["horizon_days"] == horizon_days
    assert interest(row, "tea")["is_new"] == is_new
    assert (interest(row, "tea")["trend"] > 0) == (horizon_days == 2)  # 1: a touch then too; 7: no touch of the user


def test_a_user_without_tags_gets_popular_tags_without_evidence(sequences_of: SequencesOf) -> None:
    row = profile([("u", "2026-01-31", "", 0), ("v", "2026-01-31", "tea", 42)], sequences_of)
    assert [interest["tag"] for interest in row["interests"]] == ["tea"]
    assert row["interests"][0]["evidence"] == []
    assert not row["interests"][0]["is_new"]
    assert [item["item"] for item in row["top_items"]] == [42]


def test_an_empty_list_of_events_is_scored_too(sequences_of: SequencesOf) -> None:
    known = sequences_of([("u", "2026-01-31", "tea"), ("v", "2026-01-31", "tea")])
    empty = known.slice(0, 1)
    for name in ("item", "tags", "action", "weight", "event_at", "session_id"):
        index = empty.schema.get_field_index(name)
        empty = empty.set_column(index, empty.schema.field(index), pa.array([[]], empty.schema.field(index).type))
    (row,) = profiles(fit_counts(known, DAY), empty)
    assert [interest["tag"] for interest in row["interests"]] == ["tea"]
    assert row["session_count"] == 0


def test_own_beats_popular_and_recent_beats_old(sequences_of: SequencesOf) -> None:
    row = profile([("v", "2026-01-31", "fad"), ("u", "2026-01-30", "new"), ("u", "2026-01-20", "old")], sequences_of)
    assert [interest["tag"] for interest in row["interests"]] == ["new", "old", "fad"]
    assert [interest["rank"] for interest in row["interests"]] == [1, 2, 3]


def test_equal_affinities_stand_by_name_and_ten_is_the_most(sequences_of: SequencesOf) -> None:
    tags = [f"t{number:02d}" for number in range(15)]
    row = profile([("u", "2026-01-31", " ".join(reversed(tags)))], sequences_of)
    assert [interest["tag"] for interest in row["interests"]] == tags[:10]


def test_evidence_is_the_three_sessions_that_weigh_most_strongest_first(sequences_of: SequencesOf) -> None:
    touches = [
        ("u", "2026-01-25 10:00", "tea", 1, 1.0),
        ("u", "2026-01-26 10:00", "tea", 1, 1.0),
        ("u", "2026-01-28 10:00", "tea", 1, 1.0),
        ("u", "2026-01-29 10:00", "tea", 1, 9.0),
        ("u", "2026-01-31 10:00", "tea", 1, 1.0),
        ("u", "2026-01-31 11:00", "coffee", 1, 99.0),
    ]
    tea = interest(profile(touches, sequences_of), "tea")
    assert tea["evidence"] == ["u:2026-01-29", "u:2026-01-31", "u:2026-01-28"]


def test_a_tag_is_new_for_seven_days_and_not_a_moment_longer(sequences_of: SequencesOf) -> None:
    row = profile([("u", "2026-01-24 23:59:59", "old"), ("u", "2026-01-25 00:00", "new")], sequences_of)
    assert not interest(row, "old")["is_new"]
    assert interest(row, "new")["is_new"]


def test_trend_rises_for_what_came_up_and_falls_for_what_was_left(sequences_of: SequencesOf) -> None:
    """One touch of nine days ago has hardly faded: its trend is below that of the new tag, several touches fall."""
    up, left = ("u", "2026-01-31", "up"), [("u", f"2026-01-{day}", "left") for day in (19, 20, 21, 22)]
    row = profile([*left, up], sequences_of)
    assert interest(row, "up")["trend"] > 0 > interest(row, "left")["trend"]
    row = profile([left[-1], up], sequences_of)
    assert interest(row, "up")["trend"] > 0.05 > abs(interest(row, "left")["trend"])


def test_no_item_is_never_recommended_and_own_items_come_first(sequences_of: SequencesOf) -> None:
    touches = [("u", "2026-01-31", "tea", 0), ("u", "2026-01-31", "tea", -5), ("v", "2026-01-31", "tea", 6)]
    assert [item["item"] for item in profile(touches, sequences_of)["top_items"]] == [-5, 6]


def test_an_excluded_item_gives_its_place_to_another_and_only_for_its_user(sequences_of: SequencesOf) -> None:
    touches = [(user, "2026-01-31", "tea", item) for user in "uvw" for item in range(1, 13)]
    known = sequences_of(touches, excluded={"u": [1, 5, 99]})
    model = fit_counts(known, DAY)
    listed = {row["user_id"]: [item["item"] for item in row["top_items"]] for row in profiles(model, known)}
    assert listed == {"u": [2, 3, 4, 6, 7, 8, 9, 10, 11, 12], **{user: [*range(1, 11)] for user in "vw"}}
    (alone,) = profiles(model, known.slice(2, 1))
    assert [item["item"] for item in alone["top_items"]] == listed["w"], "rows of earlier users are of no effect"
    without = sequences_of(touches)
    assert profiles(fit_counts(without, DAY), without)[1:] == profiles(model, known)[1:]


def test_an_item_has_the_reason_for_which_it_is_listed(sequences_of: SequencesOf) -> None:
    """`u` came back to item 1 of tea; item 2 is of tea too, item 3 of soup, which others like."""
    touches = [("u", "2026-01-30", "tea", 1), ("u", "2026-01-31", "tea", 1)]
    touches += [("v", "2026-01-31", "tea", 2), ("v", "2026-01-31", "soup", 3), ("w", "2026-01-31", "soup", 3)]
    known = sequences_of(touches)
    row = next(row for row in profiles(fit_counts(known, DAY), known) if row["user_id"] == "u")
    why = {item["item"]: (item["reason"], item["reason_tag"], item["reason_item"]) for item in row["top_items"]}
    assert why == {1: ("repeat", None, None), 2: ("interest", "tea", None), 3: ("popular", None, None)}


def test_of_two_interests_the_one_that_adds_more_is_the_reason(sequences_of: SequencesOf) -> None:
    """Item 9 is all of jazz and half of tea; `u` has both interests, jazz the weaker one."""
    touches = [("u", f"2026-01-{day}", "tea", 1) for day in (28, 29, 30, 31)] + [("u", "2026-01-28", "jazz", 2)]
    touches += [("v", "2026-01-31", "tea jazz", 9), ("w", "2026-01-31", "jazz", 9)]
    known = sequences_of(touches)
    model = fit_counts(known, DAY)
    row = next(row for row in profiles(model, known) if row["user_id"] == "u")
    affinity = {one["tag"]: one["affinity"] for one in row["interests"]}
    tags, popularity = model.popularity.tag_T[model.popularity.tag_K], model.popularity
    parts = {
        tag: affinity[tag] * share
        for tag, item, share in zip(tags, popularity.item_K, popularity.share_K, strict=True) if item == 9
    }  # fmt: skip
    assert parts.keys() == {"tea", "jazz"}
    [found] = [item for item in row["top_items"] if item["item"] == 9]
    assert found["reason_tag"] == max(parts, key=lambda tag: parts[tag])


def test_a_user_scored_alone_gets_the_scores_of_the_batch(world: Any) -> None:
    known = world.until(world.last_day)
    model = fit_counts(known, world.last_day)
    batch = {row["user_id"]: row for row in profiles(model, known, world.last_day)}
    for number in range(0, len(known), 37):
        (alone,) = profiles(model, known.slice(number, 1), world.last_day)
        assert alone == batch[alone["user_id"]]


def test_a_user_whose_tags_the_model_never_saw_is_scored(sequences_of: SequencesOf) -> None:
    model = fit_counts(sequences_of([("v", "2026-01-31", "tea")]), DAY)
    (row,) = profiles(model, sequences_of([("u", "2026-01-31", "zzz"), ("u", "2026-01-31", "AAA")]))
    assert {interest["tag"]: interest["evidence"] for interest in row["interests"]} == {
        "AAA": ["u:2026-01-31"],
        "tea": [],
        "zzz": ["u:2026-01-31"],
    }


def test_the_order_of_rows_changes_nothing(world: Any) -> None:
    known = world.until(world.last_day)
    shuffled = known.take(pa.array(np.random.default_rng(0).permutation(len(known))))
    one, other = fit_counts(known, world.last_day), fit_counts(shuffled, world.last_day)
    assert profiles(one, known, world.last_day) == profiles(other, shuffled, world.last_day)


def test_cohorts_begin_at_1_2_5_and_10_sessions() -> None:
    assert cohorts(np.array([0, 1, 2, 4, 5, 9, 10, 400])) == ["1", "1", "2-4", "2-4", "5-9", "5-9", "10+", "10+"]
