"""items-1: what it knows of a user and an item, its test against simple rankings, and the profiles it gives."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.counts.model import fit_counts_to_history
from model.counts.reasons import Interests
from model.data.cutoffs import Cutoffs, training_cutoffs
from model.data.days import HORIZON_DAYS, end_of_day
from model.data.folds import Histories
from model.data.history import NO_ITEM, History, history_of
from model.data.scores import ITEMS_PER_USER
from model.errors import InputError
from model.items.features import ITEM_FEATURES, ItemsOfDay, of_items
from model.items.model import DESCRIPTION, ItemTrees, WithItems
from model.model_selection import load_items, select_items
from model.registry import ITEMS, Registry, Training
from model.training.items import ItemPromotion, ItemWindow, evaluate_items, promote_items
from model.training.page import items_finding

WEEK = timedelta(days=HORIZON_DAYS)


@pytest.fixture(scope="module")
def cutoffs(world: Any) -> Cutoffs:
    return training_cutoffs(world.last_day, world.last_day - timedelta(days=41), HORIZON_DAYS)


@pytest.fixture(scope="module")
def histories(world: Any, cutoffs: Cutoffs) -> Histories:
    days = {*cutoffs.all, *(cutoffs.end_of(cutoff) for cutoff in cutoffs.all)}
    return {day: history_of(world.until(day)) for day in days}


@pytest.fixture(scope="module")
def promotion(histories: Histories, cutoffs: Cutoffs) -> ItemPromotion:
    found = promote_items(histories, cutoffs, None)
    assert found
    return found


def test_it_ranks_items_better_than_each_simple_ranking(promotion: ItemPromotion) -> None:
    """In this world a user comes back to tags, not to items, and each tag has five items."""
    assert promotion.is_won
    assert promotion.challenger.figures["ndcg_at_10"] > max(one.figures["ndcg_at_10"] for one in promotion.opponents)
    assert {one.name for one in promotion.opponents} == {
        "own items", "similar sessions", "own and interests' items", "popular items",
    }  # fmt: skip
    answer = items_finding(promotion, "items-1.20260201 promoted").answer
    assert answer.startswith("items-1.20260201 promoted: nDCG@10 .") and promotion.best.name in answer


def test_a_champion_as_good_is_not_replaced(promotion: ItemPromotion, histories: Histories, cutoffs: Cutoffs) -> None:
    again = promote_items(histories, cutoffs, ("items-1.before", promotion.refitted))
    assert again and again.best.name == "items-1.before" and not again.is_won


def test_what_comes_after_the_test_cutoff_changes_no_list(
    promotion: ItemPromotion, histories: Histories, cutoffs: Cutoffs
) -> None:
    """The labels of the test window are the only thing that is read of the days after its cutoff."""
    known, later = histories[cutoffs.test], histories[cutoffs.last]
    is_old_E = later.at_E < end_of_day(cutoffs.test)
    altered = replace(later, item_E=np.where(is_old_E, later.item_E, 1 + later.item_E % 7))
    lists = [
        ItemWindow.at({**histories, cutoffs.last: one}, cutoffs, cutoffs.test).by_trees(promotion.refitted)
        for one in (later, altered)
    ]
    assert known.users and all(np.array_equal(*columns) for columns in zip(*lists, strict=True))


def day_of(history: History, world: Any) -> tuple[ItemsOfDay, Any]:
    counts = fit_counts_to_history(history, world.last_day)
    return ItemsOfDay.before(history, counts.popularity, counts.end, HORIZON_DAYS), counts


def test_a_users_rows_do_not_depend_on_the_other_users(world: Any) -> None:
    history = history_of(world.until(world.last_day))
    of_day, counts = day_of(history, world)
    scores = counts.score(history)
    is_some_U = np.arange(history.users) % 50 == 3
    of_all = of_day.pairs(history, Interests.of(scores))
    few = history.of_users(is_some_U)
    scores = counts.score(few)
    of_few = of_day.pairs(few, Interests.of(scores))
    is_of_few_P = is_some_U[of_all.pairs.user_P]
    assert np.array_equal(of_all.item_I[of_all.pairs.tag_P[is_of_few_P]], of_few.item_I[of_few.pairs.tag_P]), (
        "the same candidates"
    )
    np.testing.assert_allclose(of_all.features_PF[is_of_few_P], of_few.features_PF, rtol=1e-9)
    assert of_few.features_PF.shape == (len(of_few.pairs), len(ITEM_FEATURES))


def excluding_own(history: History) -> History:
    """Return the history with every item that a user has touched excluded for the user."""
    return replace(history, user_X=history.user_E, item_X=history.item_E)


def test_excluded_items_are_no_candidates_and_lists_stay_full(promotion: ItemPromotion, world: Any) -> None:
    history = history_of(world.until(world.last_day))
    counts = fit_counts_to_history(history, world.last_day)
    scorer = WithItems.of(counts, "items-1", promotion.refitted, counts, history)
    plain, scores = scorer.score(history), scorer.score(excluding_own(history))
    own = set(zip(history.user_E.tolist(), history.item_E.tolist(), strict=True))
    assert own & set(zip(plain.user_K.tolist(), plain.item_K.tolist(), strict=True))
    assert not own & set(zip(scores.user_K.tolist(), scores.item_K.tolist(), strict=True))
    assert (np.bincount(scores.user_K, minlength=history.users) == ITEMS_PER_USER).all()
    assert np.array_equal(scores.affinity_R, plain.affinity_R), "interests stay"


def test_each_item_has_a_reason_that_the_history_bears_out(promotion: ItemPromotion, world: Any) -> None:
    history = history_of(world.until(world.last_day))
    counts = fit_counts_to_history(history, world.last_day)
    scorer = WithItems.of(counts, "items-1", promotion.refitted, counts, history)
    scores = scorer.score(history)
    own = set(zip(history.user_E.tolist(), history.item_E.tolist(), strict=True))
    supported = {
        (user, tag)
        for user, tag, count in zip(scores.user_R.tolist(), scores.tag_R, scores.evidence_count_R.tolist(), strict=True)
        if count
    }
    items_of = defaultdict(set)
    for session, item in zip(history.session_E.tolist(), history.item_E.tolist(), strict=True):
        items_of[session].add(item)
    reasons = scores.reasons
    found = Counter()
    for user, item, kind, tag, followed in zip(
        scores.user_K.tolist(),
        scores.item_K.tolist(),
        reasons.kind_K,
        reasons.tag_K,
        reasons.item_K.tolist(),
        strict=True,
    ):
        found[kind] += 1
        assert ((user, item) in own) == (kind == "repeat")
        assert (user, tag) in supported if kind == "interest" else tag is None
        if kind == "followed":
            assert (user, followed) in own and any({item, followed} <= items for items in items_of.values())
        else:
            assert followed == NO_ITEM
    assert found.keys() >= {"repeat", "interest", "followed"} and sum(found.values()) == len(scores.user_K)

    new_of_U = np.bincount(scores.user_K[reasons.kind_K != "repeat"], minlength=history.users)
    for user in (int(new_of_U.argmax()), int(new_of_U.argmin())):
        alone = scorer.score(history.of_users(np.arange(history.users) == user)).reasons
        of_user_K = scores.user_K == user
        for name in ("kind_K", "tag_K", "item_K"):
            assert getattr(alone, name).tolist() == getattr(reasons, name)[of_user_K].tolist(), name
    assert new_of_U.max() >= 5 and new_of_U.min() == 0, "one of these users has new items, the other has none"


def test_no_ranking_of_a_test_lists_excluded_items_and_they_count_as_untouched(
    promotion: ItemPromotion, histories: Histories, cutoffs: Cutoffs
) -> None:
    excluding = {day: excluding_own(history) for day, history in histories.items()}
    window = ItemWindow.at(excluding, cutoffs, cutoffs.test)
    past = window.window.past
    own = set(zip(past.user_E.tolist(), past.item_E.astype(str).tolist(), strict=True))
    touched = window.window.touched
    assert len(touched) and not own & set(zip(touched.user_P.tolist(), past.tag_T[touched.tag_P].tolist(), strict=True))
    assert np.array_equal(window.window.touched_tags_U, np.bincount(touched.user_P, minlength=past.users))
    lists = {
        "formula": window.by_formula(), "popularity": window.by_popularity(), "own": window.by_own_counts(7.0),
        "sessions": window.by_sessions(), "trees": window.by_trees(promotion.refitted),
    }  # fmt: skip
    for name, (user_K, item_K, _) in lists.items():
        assert len(user_K) and not own & set(zip(user_K.tolist(), item_K.tolist(), strict=True)), name


def test_items_of_interests_and_of_similar_sessions_are_candidates(sequences_of: Any) -> None:
    """`new` touched a tag once; others touched its items, and item 9 in the sessions of item 1."""
    from datetime import UTC, datetime

    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    touches = [(f"u{number}", at, "tea", 1, 1.0) for number in range(5)]
    touches += [(f"u{number}", at + timedelta(minutes=1), "pots", 9, 1.0) for number in range(5)]
    touches += [("new", at, "tea", 1, 1.0)]
    history = history_of(sequences_of(touches))
    counts = fit_counts_to_history(history, at.date())
    of_day = ItemsOfDay.before(history, counts.popularity, counts.end, HORIZON_DAYS)
    scores = counts.score(history)
    made = of_day.pairs(history, Interests.of(scores))
    is_of_new_P = history.user_id_U[made.pairs.user_P] == "new"
    assert {"1", "9"} <= set(made.item_I[made.pairs.tag_P[is_of_new_P]])
    [vote] = made.features_PF[is_of_new_P & (made.item_I[made.pairs.tag_P] == "9")][:, -1]
    assert vote > np.log(1e-4), "sessions of others with item 1 vote for item 9"


def test_a_saved_model_gives_the_same_lists_and_holds_no_user(
    promotion: ItemPromotion, world: Any, tmp_path: Path
) -> None:
    registry = Registry(tmp_path, ITEMS)
    training = Training("training-1", {}, {}, world.last_day, 1, promotion.as_json())
    version = registry.register("items-1", training, registry.record(training), promotion.refitted.save, True)
    assert Registry(tmp_path).versions() == [], "it is no model of interests"
    assert select_items("as-of", Registry(tmp_path))(world.last_day) == version
    assert select_items("as-of", Registry(tmp_path))(world.last_day - timedelta(days=1)) is None
    assert select_items("none", Registry(tmp_path))(world.last_day) is None

    loaded = load_items(version, registry)
    history = history_of(world.until(world.last_day))
    counts = fit_counts_to_history(history, world.last_day)
    lists = [WithItems.of(counts, "items-1", trees, counts, history).score(history)
             for trees in (promotion.refitted, loaded)]  # fmt: skip
    assert np.array_equal(lists[0].item_K, lists[1].item_K) and np.array_equal(lists[0].score_K, lists[1].score_K)
    assert ((lists[0].score_K >= 0) & (lists[0].score_K <= 1)).all(), "probabilities"
    assert np.array_equal(lists[0].affinity_R, counts.score(history).affinity_R), "interests stay those of the model"
    written = b"".join(file.read_bytes() for file in registry.folder_of(version).iterdir())
    assert not any(user.encode() in written for user in history.user_id_U)


def test_a_model_of_other_features_is_refused(promotion: ItemPromotion, tmp_path: Path) -> None:
    promotion.refitted.save(tmp_path)
    file = tmp_path / DESCRIPTION
    file.write_text(file.read_text().replace("log_interest", "log_price"))
    with pytest.raises(InputError, match=r"log_price.*expected format 1.*train again"):
        ItemTrees.read(tmp_path)


def test_a_log_without_items_has_no_model_of_items(histories: Histories, cutoffs: Cutoffs) -> None:
    without = {day: replace(one, item_E=np.full_like(one.item_E, NO_ITEM)) for day, one in histories.items()}
    assert promote_items(without, cutoffs, None) is None
    assert not len(of_items(without[cutoffs.last]).tag_T)


def test_the_figures_of_a_perfect_list_are_one(histories: Histories, cutoffs: Cutoffs) -> None:
    window = ItemWindow.at(histories, cutoffs, cutoffs.test)
    touched = window.window.touched
    answers = (touched.user_P, window.window.past.tag_T[touched.tag_P], np.ones(len(touched)))
    result = evaluate_items("answers", [window], [answers])
    assert result.figures["ndcg_at_10"] == pytest.approx(1)
    assert 0 < result.figures["coverage"] <= 1 and 0 <= result.figures["new"] <= 1
