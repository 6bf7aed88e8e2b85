"""The judge of published rows, on a log that can be counted by hand."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.bench.published import Day, judge, planted_on, window_of


def touches_of(*rows: tuple[str, str, float]) -> pa.Table:
    """user, tag, age in days at the end of the day, negative for what comes after it; all known that day if before."""
    names = ("user_id", "tag", "age_days")
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return pa.table({**columns, "weight": [1.0] * len(rows), "is_known": [row[2] > 0 for row in rows]})


def interests_of(*rows: tuple[str, str, float]) -> pa.Table:
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("user_id", "tag", "affinity"))}
    return pa.table({**columns, "horizon_days": [1] * len(rows), "model_version": ["m"] * len(rows)})


TOUCHES = touches_of(
    ("ann", "jazz", 0.5),
    ("ann", "news", 3.0),
    ("ann", "news", 3.1),
    ("bob", "tea", 0.5),
    ("cid", "tea", 0.5),
    ("ann", "news", -0.5),
    ("bob", "jazz", -0.5),
    ("bob", "jazz", -0.6),
)


def test_published_rows_are_compared_with_the_half_life_that_is_best_for_the_day() -> None:
    interests = interests_of(
        ("ann", "news", 0.9), ("ann", "jazz", 0.5), ("bob", "tea", 0.8), ("bob", "jazz", 0.6), ("cid", "tea", 0.2)
    )
    found = judge([Day(interests, TOUCHES)])
    assert (found["users"], found["users_who_touched_a_tag"], found["models"]) == (3, 2, {"m": 5})
    ndcg = found["metrics"]["ndcg_at_10"]
    second = 1 / np.log2(3)
    assert ndcg["published"]["mean"] == pytest.approx((1 + second) / 2)
    # A long half-life ranks news before jazz for ann; bob gets tea, and then jazz as the first tag of the name.
    assert ndcg["half_life_days"] >= 4
    assert ndcg["decayed_counts"]["mean"] == pytest.approx((1 + second) / 2)
    assert ndcg["difference"]["mean"] == pytest.approx(0)
    assert found["metrics"]["f1_at_5"]["published"]["mean"] == pytest.approx(2 / 6)
    # Five rows in five bins: .9 and .6 came true, .5, .8 and .2 did not.
    assert found["calibration_error"] == pytest.approx((0.1 + 0.4 + 0.5 + 0.8 + 0.2) / 5)


def test_short_half_lives_rank_by_the_newest_touch() -> None:
    window = window_of(TOUCHES, np.array(["ann", "bob", "cid"], object))
    assert window.decayed_counts(0.25)["ndcg_at_10"][0] == pytest.approx(1 / np.log2(3))
    assert window.decayed_counts(28.0)["ndcg_at_10"][0] == 1.0
    assert np.isnan(window.decayed_counts(28.0)["ndcg_at_10"][2])


def test_an_event_that_came_late_is_no_part_of_what_was_known() -> None:
    column = TOUCHES.column_names.index("is_known")
    known = TOUCHES.set_column(column, "is_known", pa.array([False] * len(TOUCHES)))
    window = window_of(known, np.array(["ann", "bob", "cid"], object))
    assert len(window.user_M) == 0
    assert window.touched_U.tolist() == [1, 1, 0]


def test_tags_of_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="events have no tag 'cluster-1'"):
        judge([Day(interests_of(("ann", "cluster-1", 0.5)), TOUCHES)])


def test_true_interests_are_looked_for_among_the_first_three() -> None:
    """ann wants four tags, of which three count; bob wants one, which is fourth; cid is not active."""
    interests = interests_of(
        ("ann", "jazz", 0.9), ("ann", "news", 0.8), ("ann", "tea", 0.7),
        ("bob", "jazz", 0.9), ("bob", "news", 0.8), ("bob", "dogs", 0.7), ("bob", "tea", 0.6),
        ("cid", "tea", 0.2),
    )  # fmt: skip
    touches = pa.concat_tables([TOUCHES, touches_of(("cid", "dogs", 9.0), ("cid", "cats", 9.0))])
    planted = {"ann": frozenset({"jazz", "news", "dogs", "cats"}), "bob": frozenset({"tea", "never touched"})}
    found = judge([Day(interests, touches, planted)])["metrics"]["planted_at_3"]
    assert found["published"]["mean"] == pytest.approx((2 / 3 + 0 / 1) / 2)
    assert found["decayed_counts"]["mean"] == pytest.approx((2 / 3 + 1 / 1) / 2)
    so_far = touches.filter(pa.array([bool(known) for known in touches["is_known"].to_pylist()]))
    of_last_day = judge([Day(interests, so_far, planted)])
    assert of_last_day["calibration_error"] is None and set(of_last_day["metrics"]) == {"planted_at_3"}


def test_of_several_days_a_user_counts_once_with_the_mean_of_the_days_with_touches() -> None:
    """ann is right on the first day and wrong on the second; bob touches nothing after the first."""
    first = Day(
        interests_of(("ann", "news", 0.9), ("bob", "tea", 0.9)), touches_of(("ann", "tea", 1), ("ann", "news", -1))
    )
    second = Day(
        interests_of(("ann", "tea", 0.9), ("bob", "tea", 0.9)),
        touches_of(("ann", "tea", 1), ("ann", "news", -1), ("bob", "tea", -1)),
    )
    found = judge([first, second])
    assert (found["users"], found["users_who_touched_a_tag"], found["models"]) == (2, 2, {"m": 4})
    assert found["metrics"]["ndcg_at_10"]["published"]["mean"] == pytest.approx(((1 + 0) / 2 + 1) / 2)


def test_the_truth_is_that_of_the_day(tmp_path: Path) -> None:
    history = [
        {"tag": "always", "from": None, "to": None},
        {"tag": "dropped", "from": None, "to": "2026-01-26"},
        {"tag": "last day", "from": None, "to": "2026-01-27"},
        {"tag": "new", "from": "2026-01-27", "to": None},
        {"tag": "later", "from": "2026-01-28", "to": None},
    ]
    people = [
        {"user": "ann", "is_bot": False, "history": history},
        {"user": "bot", "is_bot": True, "history": history},
        {"user": "idle", "is_bot": False, "history": history},
    ]
    truth = tmp_path / "truth.jsonl"
    truth.write_text("\n".join(map(json.dumps, people)))
    found = planted_on(date(2026, 1, 27), truth, str.upper, frozenset({"ANN", "BOT"}))
    assert found == {"ANN": {"always", "last day", "new"}}
