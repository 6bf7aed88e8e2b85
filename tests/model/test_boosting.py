import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.boosting import votes as votes_module
from model.boosting.features import feature_names, features_PF, usual_actions
from model.boosting.model import FORESTS, Boosting1, Examples, Forest, examples, grow, read_forest, write_forest
from model.boosting.trees import BoostingSettings
from model.boosting.votes import SessionVotes
from model.counts.model import fit_counts_to_history
from model.data.days import HORIZON_DAYS, end_of_day
from model.data.history import history_of
from model.data.labels import label_window_between
from model.data.pairs import candidates, own_tags
from model.data.scores import Scores
from model.errors import InputError
from model.metrics import expected_calibration_error

SequencesOf = Callable[..., pa.Table]
SMALL = BoostingSettings(learning_rate=0.1, leaves=7, least_weight_in_leaf=5.0, penalty=1.0, trees=30)
WEEK = timedelta(days=HORIZON_DAYS)


def window_at(world: Any, cutoff: date) -> Any:
    then, later = history_of(world.until(cutoff)), history_of(world.until(cutoff + WEEK))
    return label_window_between(then, later, end_of_day(cutoff), end_of_day(cutoff + WEEK))


def training(world: Any) -> list[Examples]:
    """Return the examples of two weeks, the newest of which ends a week before the last day."""
    days = [world.last_day - number * WEEK for number in (3, 2)]
    windows = [window_at(world, day) for day in days]
    actions = usual_actions(windows)
    return [examples(window, history_of(world.until(day)), actions) for window, day in zip(windows, days, strict=True)]


@pytest.fixture(scope="module")
def rows(world: Any) -> list[Examples]:
    return training(world)


@pytest.fixture(scope="module")
def forest(rows: list[Examples]) -> Forest:
    return grow(SMALL, rows, usual_actions([one.window for one in rows]))


def scores(forest: Forest, known: pa.Table, counts_from: pa.Table, day: date) -> Scores:
    all_users = history_of(counts_from)
    return Boosting1.of_day("b", forest, fit_counts_to_history(all_users, day), all_users).score(history_of(known))


def by_user_and_tag(known: pa.Table, scores: Scores) -> dict[tuple[str, str], tuple[float, float]]:
    users = history_of(known).user_id_U[scores.user_R]
    values = zip(scores.affinity_R.tolist(), scores.trend_R.tolist(), strict=True)
    return dict(zip(zip(users, scores.tag_R, strict=True), values, strict=True))


def test_affinities_are_as_likely_as_they_say(forest: Forest, world: Any) -> None:
    day = world.last_day - WEEK
    known = world.until(day)
    found = scores(forest, known, known, day)
    users = history_of(known).user_id_U
    truth = [world.truth(users[user], tag) for user, tag in zip(found.user_R, found.tag_R, strict=True)]
    assert expected_calibration_error(found.affinity_R, np.array(truth)) < 0.04
    assert np.corrcoef(found.affinity_R, truth)[0, 1] > 0.75


def test_what_comes_after_the_day_changes_no_score(forest: Forest, world: Any, sequences_of: SequencesOf) -> None:
    day = world.last_day - WEEK
    before = world.until(day)
    future = [(user, f"{day + timedelta(days=1)} 00:00", "planted", 5, 99.0, "purchase") for user in ("user0003", "x")]
    with_future = sequences_of([*world.touches, *future])
    kept = with_future.filter(pc.is_in(with_future["user_id"], value_set=before["user_id"].combine_chunks()))
    plain = by_user_and_tag(before, scores(forest, before, before, day))
    assert by_user_and_tag(kept, scores(forest, kept, with_future, day)) == plain


def test_a_user_scored_alone_gets_the_scores_of_the_batch(forest: Forest, world: Any) -> None:
    known = world.until(world.last_day)
    batch = by_user_and_tag(known, scores(forest, known, known, world.last_day))
    for number in range(0, len(known), 57):
        one = known.slice(number, 1)
        alone = by_user_and_tag(one, scores(forest, one, known, world.last_day))
        assert alone == {
            pair: pytest.approx(batch[pair], abs=1e-4) for pair in batch if pair[0] == one["user_id"][0].as_py()
        }


def test_all_but_the_affinities_is_of_counts_1(forest: Forest, world: Any) -> None:
    history = history_of(world.until(world.last_day))
    counts = fit_counts_to_history(history, world.last_day)
    ours, theirs = Boosting1.of_day("b", forest, counts, history).score(history), counts.score(history)
    assert np.array_equal(ours.return_probability_U, theirs.return_probability_U)
    assert not np.array_equal(ours.affinity_R, theirs.affinity_R)
    assert ((ours.affinity_R >= 0) & (ours.affinity_R <= 1)).all()


def test_a_feature_counts_what_its_name_says(sequences_of: SequencesOf) -> None:
    known = sequences_of(
        [
            ("u", "2026-01-10 12:00", "tea", 1, 1.0, "view"),
            ("u", "2026-01-29 00:00", "tea", 1, 2.0, "purchase"),
            ("u", "2026-01-29 01:00", "tea", 1, 1.0, "view"),
            ("u", "2026-01-31 00:00", "jazz", 1, 1.0, "view"),
        ]
    )
    history = history_of(known)
    own = own_tags(history)
    pairs = candidates(own, 1, np.array([], dtype=np.int64))
    rows = features_PF(history, own, pairs, np.array([0.5, 0.25]), end_of_day(date(2026, 1, 30)), ("purchase",))
    (jazz, tea) = (dict(zip(feature_names(("purchase",)), row, strict=True)) for row in rows.tolist())
    assert tea["log_purchase_count_2d"] == pytest.approx(np.log1p(0.5))
    assert jazz["log_purchase_count_2d"] == 0
    assert jazz["days_since_last_touch"] == 0
    assert tea["days_since_last_touch"] == pytest.approx(2 - 1 / 24)
    assert tea["log_sessions_with_tag"] == pytest.approx(np.log1p(1))  # the older one lies further back than 14 days
    assert tea["days_since_first_touch"] == 14
    assert tea["log_popularity"] == pytest.approx(np.log(0.25))
    assert tea["share_of_strongest_count"] == 1
    assert jazz["log_session_count"] == tea["log_session_count"] == pytest.approx(np.log1p(2))


def test_each_forest_stops_growing_where_the_users_held_out_from_it_say(rows: list[Examples], forest: Forest) -> None:
    assert len(forest.forests) == FORESTS
    patient = grow(replace(SMALL, trees=600), rows, forest.actions)
    assert all(1 <= trees.num_boosted_rounds() < 600 for trees in patient.forests)
    assert len({bytes(trees.save_raw("json")) for trees in patient.forests}) == FORESTS


def test_labels_of_a_held_out_user_reach_no_tree_that_predicts_it(rows: list[Examples], forest: Forest) -> None:
    """Other labels of the users of one fold change every forest but theirs."""
    flipped = [
        replace(one, window=replace(one.window, is_touched_P=one.window.is_touched_P ^ (one.fold_P == 0)))
        for one in rows
    ]
    before, after = (grow(SMALL, some, forest.actions).forests for some in (rows, flipped))
    # Their labels decide how many trees their forest has, not what the first one is like.
    is_equal = [
        one[:1].save_raw("json") == other[:1].save_raw("json") for one, other in zip(before, after, strict=True)
    ]
    assert is_equal == [True, False, False, False, False]


def test_sessions_of_others_vote_for_a_tag(sequences_of: SequencesOf) -> None:
    """Who drinks tea eats cake in the same session; the popular news is in sessions of others."""
    together = [(f"u{user}", "2026-01-29 12:00", "tea cake") for user in range(40)]
    popular = [(f"c{user}", "2026-01-29 12:00", "news") for user in range(60)]
    history = history_of(sequences_of([*together, *popular, ("me", "2026-01-30 12:00", "tea")]))
    moment = end_of_day(date(2026, 1, 30))
    pairs = candidates(own_tags(history), history.users, np.arange(3))  # cake, news, tea
    votes = SessionVotes.before(history, moment)
    me = list(history.user_id_U).index("me")
    vote_3, place_3 = votes.columns_P2(history, pairs)[pairs.user_P == me].T
    assert vote_3[0] > vote_3[1]
    assert place_3.tolist() == np.log1p([1, 2, 0]).tolist()
    alone = history.of_users(np.arange(history.users) == me)
    of_me = candidates(own_tags(alone), 1, np.arange(3))
    assert votes.columns_P2(alone, of_me) == pytest.approx(np.column_stack([vote_3, place_3]))
    with_later = history_of(
        sequences_of([*together, *popular, ("me", "2026-01-30 12:00", "tea"), ("x", "2026-01-31", "tea news")])
    )
    assert SessionVotes.before(with_later, moment).columns_P2(alone, of_me) == pytest.approx(
        np.column_stack([vote_3, place_3])
    )


def test_votes_in_batches_are_those_of_all_users_at_once(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_of(world.until(world.last_day))
    votes = SessionVotes.before(history, end_of_day(world.last_day))
    pairs = candidates(own_tags(history), history.users, np.arange(5))
    at_once = votes.columns_P2(history, pairs)
    monkeypatch.setattr(votes_module, "CELLS_AT_ONCE", 300)
    assert np.array_equal(votes.columns_P2(history, pairs), at_once)


def test_a_saved_model_holds_no_session(forest: Forest, world: Any, tmp_path: Path) -> None:
    write_forest(forest, tmp_path)
    history = history_of(world.until(world.last_day))
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not any(name.encode() in written for name in (*history.session_id_S[:50], *history.user_id_U[:50]))


def test_a_forest_of_the_release_before_is_read(
    forest: Forest, rows: list[Examples], world: Any, tmp_path: Path
) -> None:
    """It has one forest and reads no votes."""
    features = len(feature_names(forest.actions))
    trees = grow(SMALL, [replace(one, rows_PF=one.rows_PF[:, :features]) for one in rows], forest.actions).forests[0]
    trees.save_model(tmp_path / "trees.ubj")
    calibration = {"predicted": [0.0, 1.0], "observed": [0.0, 1.0]}
    description = {"format": 2, "actions": forest.actions, "features": feature_names(forest.actions)}
    (tmp_path / "model.json").write_text(json.dumps({**description, "calibration": calibration}))
    older = read_forest(tmp_path)
    assert not older.reads_votes
    known = world.until(world.last_day)
    assert scores(older, known, known, world.last_day).affinity_R.max() > 0.3


def test_a_forest_read_back_is_the_same_and_no_pickle(forest: Forest, world: Any, tmp_path: Path) -> None:
    write_forest(forest, tmp_path)
    known = world.until(world.last_day)
    kept = scores(read_forest(tmp_path), known, known, world.last_day)
    assert np.array_equal(kept.affinity_R, scores(forest, known, known, world.last_day).affinity_R)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "model.json",
        *(f"trees-{n}.ubj" for n in range(FORESTS)),
    ]


def test_a_forest_of_other_features_is_refused(forest: Forest, tmp_path: Path) -> None:
    write_forest(forest, tmp_path)
    description = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(description.replace('"is_own"', '"is_mine"'))
    with pytest.raises(InputError, match=r"other features than this version computes \(is_mine, is_own\): train again"):
        read_forest(tmp_path)


def test_a_forest_of_the_old_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"actions": ["view"], "baseline": 0.1}')
    with pytest.raises(InputError, match="is saved in format 1, expected 3: another release wrote it; train again"):
        read_forest(tmp_path)


def test_the_same_examples_grow_the_same_forest(forest: Forest, world: Any) -> None:
    again = grow(SMALL, training(world), forest.actions)
    assert [one.save_raw("json") for one in again.forests] == [one.save_raw("json") for one in forest.forests]
    assert again.calibration == forest.calibration
