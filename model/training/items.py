"""The training of items-1: fitted before the test window, tested in it against simple rankings, promoted if it wins.

Shape letters: U users, K top items (a user's together, best first), P pairs of user and item.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from model.boosting.votes import METHOD
from model.counts.model import Counts1, Counts1Parameters, best_half_life, fit_counts_to_history, own_first_P
from model.counts.publish import top_items as by_formula
from model.counts.reasons import Interests
from model.data.arrays import Floats, Ints, Texts, top
from model.data.cutoffs import Cutoffs
from model.data.days import end_of_day
from model.data.folds import Histories, history_at
from model.data.history import History
from model.data.labels import LabeledWindow, label_window_between, without_pairs
from model.data.pairs import candidates, excluded_pairs, own_tags
from model.data.popularity import fit_popularity
from model.data.scores import INTERESTS_PER_USER, ITEMS_PER_USER
from model.evaluation.holdout import CELLS_AT_ONCE, strongest
from model.evaluation.results import mean_by_user
from model.interfaces import TrainingData
from model.items.features import ItemPairs, ItemsOfDay, of_items
from model.items.model import KIND, ItemTrees, fit_items, item_examples, top_items
from model.metrics import Difference, RankedHits, nan_mean, paired_difference

MIN_TEST_USERS = 50  # who touched an item in a test window
MAX_WINDOWS = 2  # of a fit; on the demo nDCG@10 is .285 with two, .281 with four, .278 with one
TopItems = tuple[Ints, Texts, Floats]  # user, item and score, user after user, best first


@dataclass(frozen=True, eq=False)
class ItemWindow:
    """What was known at a cutoff, and which items users touched in its window.

    Items that a rule of the source excluded for a user by then are neither listed nor counted as touched.
    """

    window: LabeledWindow  # its tags are items
    all_users: History  # known at the cutoff
    counts: Counts1  # of the cutoff

    @classmethod
    def at(
        cls, histories: Histories, cutoffs: Cutoffs, cutoff: date, parameters: Counts1Parameters | None = None
    ) -> "ItemWindow":
        """parameters: of counts-1; by default they are fitted."""
        end = cutoffs.end_of(cutoff)
        window = label_window_between(
            of_items(histories[cutoff]), of_items(histories[end]), end_of_day(cutoff), end_of_day(end)
        )
        window = without_pairs(window, excluded_pairs(window.past, window.past.tag_T))
        all_users = history_at(histories, cutoff)
        if parameters is None:
            counts = fit_counts_to_history(all_users, cutoff, cutoffs.horizon_days)
        else:
            counts = Counts1(window.cutoff, parameters, fit_popularity(all_users, window.cutoff), cutoffs.horizon_days)
        return cls(window, all_users, counts)

    @cached_property
    def past(self) -> History:
        """The users of the window with their tags."""
        return self.all_users.of_users(np.isin(self.all_users.user_id_U, self.window.past.user_id_U))

    @cached_property
    def interests(self) -> Interests:
        """What counts-1 would publish at the cutoff."""
        past, popularity = self.past, self.counts.popularity
        own = own_tags(past)
        pairs = candidates(own, past.users, np.searchsorted(past.tag_T, popularity.popular_tags()))
        share_T = popularity.share_of(past.tag_T)
        affinity_P = self.counts.fitted.affinity_P(past, own, pairs, share_T, self.counts.end)
        chosen_R = top(INTERESTS_PER_USER, pairs.user_P, affinity_P, pairs.tag_P)
        tag_R, has_evidence_R = past.tag_T[pairs.tag_P[chosen_R]], own.pairs.find(pairs)[1][chosen_R]
        return Interests(pairs.user_P[chosen_R], tag_R, affinity_P[chosen_R], has_evidence_R)

    @cached_property
    def candidates(self) -> ItemPairs:
        counts = self.counts
        of_day = ItemsOfDay.before(self.all_users, counts.popularity, counts.end, counts.horizon_days)
        return of_day.pairs(self.past, self.interests)

    def by_formula(self) -> TopItems:
        """Return what a profile has without a trained model."""
        counts, interests = self.counts, self.interests
        tag_R = np.searchsorted(self.past.tag_T, interests.tag_R)
        user_K, item_K, score_K = by_formula(
            self.past, interests.user_R, tag_R, interests.affinity_R, counts.popularity, counts.end,
            counts.fitted.half_life_days,
        )  # fmt: skip
        return user_K, item_K.astype(str).astype(object), score_K

    def by_popularity(self) -> TopItems:
        pairs = self.window.pairs
        return self._best_pairs(self.window.share_T[pairs.tag_P])

    def by_own_counts(self, half_life_days: float) -> TopItems:
        """Return own items by their decayed counts, then popular ones."""
        return self._best_pairs(own_first_P(self.window, half_life_days))

    def by_sessions(self) -> TopItems:
        """Return the items of similar sessions and of the user's own ones."""
        past, items = self.window.past, len(self.window.past.tag_T)
        excluded = excluded_pairs(past, past.tag_T)
        ranker = METHOD.fit(TrainingData((), of_items(self.all_users), self.window.cutoff))
        listed, at_once = min(ITEMS_PER_USER, items), max(1, CELLS_AT_ONCE // items)
        parts = []
        for first in range(0, past.users, at_once):
            is_in_batch_U = np.zeros(past.users, dtype=bool)
            is_in_batch_U[first : first + at_once] = True
            scores_BT = ranker.scores_UT(past.of_users(is_in_batch_U))
            is_of_batch_X = is_in_batch_U[excluded.user_P]
            scores_BT[excluded.user_P[is_of_batch_X] - first, excluded.tag_P[is_of_batch_X]] = -np.inf
            item_BL = strongest(scores_BT, listed)
            user_BL = np.repeat(first + np.arange(len(item_BL))[:, None], listed, axis=1)
            parts.append((user_BL.ravel(), item_BL.ravel(), np.take_along_axis(scores_BT, item_BL, axis=1).ravel()))
        user_K, code_K, score_K = (np.concatenate(column) for column in zip(*parts, strict=True))
        is_listed_K = score_K > -np.inf
        return user_K[is_listed_K], past.tag_T[code_K[is_listed_K]], score_K[is_listed_K]

    def by_trees(self, trees: ItemTrees) -> TopItems:
        best = top_items(trees, self.candidates)
        return best.user_K, best.item_K.astype(str).astype(object), best.probability_K

    def _best_pairs(self, score_P: Floats) -> TopItems:
        pairs = self.window.pairs
        chosen_K = top(ITEMS_PER_USER, pairs.user_P, score_P, pairs.tag_P)
        return pairs.user_P[chosen_K], self.window.past.tag_T[pairs.tag_P[chosen_K]], score_P[chosen_K]


@dataclass(frozen=True, eq=False)
class ItemResult:
    """How one method ranks items in the test windows; values of a user are means over the windows."""

    name: str
    ndcg_U: Floats  # @10; nan for a user who touched no item
    figures: Mapping[str, float]


def evaluate_items(name: str, windows: Sequence[ItemWindow], lists: Sequence[TopItems]) -> ItemResult:
    """Return the figures of a method: nDCG@10, recall@10, the share of the known items that some user gets
    (`coverage`), and of the listed items that are new to their user (`new`).

    lists: for each window.
    """
    ndcg_N, recall_N, new, coverage = [], [], [], []
    for one, (user_K, item_K, score_K) in zip(windows, lists, strict=True):
        window = one.window
        item_T = window.past.tag_T
        code_K = np.minimum(np.searchsorted(item_T, item_K), len(item_T) - 1)
        key_K = np.where(item_T[code_K] == item_K, user_K * len(item_T) + code_K, -1)
        is_hit_K = np.isin(key_K, window.touched.key_P)
        ranked = RankedHits.of_pairs(user_K, score_K, code_K, is_hit_K, window.touched_tags_U)
        ndcg_N.append(ranked.ndcg_U(ITEMS_PER_USER))
        recall_N.append(ranked.recall_U(ITEMS_PER_USER))
        new.append(1 - np.isin(key_K, window.own.pairs.key_P).mean())
        coverage.append(len(np.unique(item_K)) / len(item_T))
    user_id_N = np.concatenate([one.window.past.user_id_U for one in windows])
    ndcg_U, recall_U = (mean_by_user(user_id_N, np.concatenate(values)) for values in (ndcg_N, recall_N))
    figures = {
        "ndcg_at_10": nan_mean(ndcg_U),
        "recall_at_10": nan_mean(recall_U),
        "coverage": float(np.mean(coverage)),
        "new": float(np.mean(new)),
    }
    return ItemResult(name, ndcg_U, figures)


@dataclass(frozen=True, eq=False)
class ItemPromotion:
    """The outcome of a training of items-1."""

    challenger: ItemResult
    opponents: tuple[ItemResult, ...]
    difference: Difference  # nDCG@10 less that of the best opponent
    refitted: ItemTrees  # fitted again through the last day

    @property
    def best(self) -> ItemResult:
        return max(self.opponents, key=lambda one: one.figures["ndcg_at_10"])

    @property
    def is_won(self) -> bool:
        return self.difference.low > 0

    def as_json(self) -> dict[str, Any]:
        return {
            "figures": {one.name: dict(one.figures) for one in (self.challenger, *self.opponents)},
            "best_opponent": self.best.name,
            "ndcg_at_10_difference": asdict(self.difference),
            "is_won": self.is_won,
        }


@dataclass
class ItemWindows:
    """The windows of the cutoffs of a training, each built once."""

    histories: Histories
    cutoffs: Cutoffs
    built: dict[date, ItemWindow] = field(default_factory=dict)

    def at(self, cutoff: date) -> ItemWindow:
        """Return a window. The interests in training windows are those of the parameters of the validation cutoff."""
        if cutoff not in self.built:
            is_training = cutoff < self.cutoffs.validation
            parameters = self.at(self.cutoffs.validation).counts.fitted if is_training else None
            self.built[cutoff] = ItemWindow.at(self.histories, self.cutoffs, cutoff, parameters)
        return self.built[cutoff]

    def fit(self, through: date) -> ItemTrees | None:
        """Return items-1 fitted to the newest windows that have ended by a day."""
        windows = [self.at(cutoff) for cutoff in self.cutoffs.ended_by(through)[-MAX_WINDOWS:]]
        return fit_items([item_examples(one.window, one.candidates) for one in windows])


def promote_items(
    histories: Histories, cutoffs: Cutoffs, champion: tuple[str, ItemTrees] | None
) -> ItemPromotion | None:
    """Fit items-1, test it, and fit it again with the test windows; None where too few users touch items.

    champion: its name and trees; it has not seen the test windows.
    """
    windows = ItemWindows(histories, cutoffs)
    tests = [windows.at(cutoff) for cutoff in cutoffs.tests]
    if sum(int((one.window.touched_tags_U > 0).sum()) for one in tests) < MIN_TEST_USERS:
        return None
    trees, refitted = windows.fit(cutoffs.test), windows.fit(cutoffs.last)
    if trees is None or refitted is None:
        return None
    half_life_days = best_half_life(windows.at(cutoffs.validation).window)

    def result(name: str, lists: Sequence[TopItems]) -> ItemResult:
        return evaluate_items(name, tests, lists)

    opponents = [
        result("own items", [one.by_own_counts(half_life_days) for one in tests]),
        result("similar sessions", [one.by_sessions() for one in tests]),
        result("own and interests' items", [one.by_formula() for one in tests]),
        result("popular items", [one.by_popularity() for one in tests]),
        *([result(champion[0], [one.by_trees(champion[1]) for one in tests])] if champion else []),
    ]
    challenger = result(KIND, [one.by_trees(trees) for one in tests])
    best = max(opponents, key=lambda one: one.figures["ndcg_at_10"])
    return ItemPromotion(challenger, tuple(opponents), paired_difference(challenger.ndcg_U, best.ndcg_U), refitted)
