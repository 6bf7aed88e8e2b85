"""The paths that a night can walk: those that can be kept as plain data and told what is popular today.

V-SKNN is none of them: it remembers other users' sessions, which would lie in a file that no erasure reaches.

Shape letters: V tags learnt of, F features.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from model.baselines.boosted_ranking import BoostedRanker
from model.baselines.next_tag import NextTagRanker
from model.baselines.own_counts import CountsRanker
from model.baselines.transition import Bag, Transition
from model.baselines.vocabulary import told_of
from model.counts.counts1 import Counts1
from model.counts.popularity import Popularity
from model.errors import InputError
from model.evaluation.contestant import Ranker
from model.transformer.paths import Paths

COUNTS, BOOSTING, TRANSITION = "counts-1", "boosted-ranking", "transition"


def together(rankers: tuple[Ranker, ...]) -> Paths:
    """Return rankers as paths; of those that a night can walk, counts-1 alone states probabilities."""
    return Paths(rankers, tuple(isinstance(ranker, CountsRanker) for ranker in rankers))


def anchored(path: Ranker, counts: Counts1, moment: int) -> Ranker:
    """Return a path as of a moment, by the popularity and the fit of the counts-1 of the day.

    Raises ValueError if it is no path that a night can walk.
    """
    crowd = counts.popularity
    match path:
        case CountsRanker():
            return CountsRanker(counts.fitted, crowd, moment)
        case BoostedRanker():
            return replace(path, crowd=crowd, cut=moment)
        case NextTagRanker(following=Transition()):
            return replace(path, share_V=told_of(path.tag_V, crowd.tag_T, crowd.share_T, otherwise=0.0))
    raise ValueError(f"{type(path).__name__} cannot be kept; expected the ranker of {COUNTS}, {BOOSTING}, {TRANSITION}")


def write_path(path: Ranker, folder: Path, number: int) -> Mapping[str, Any]:
    """Write what a path has learnt, and return what is to be told of it in JSON.

    Raises ValueError if it is no path that a night can walk.
    """
    match path:
        case CountsRanker():
            return {"kind": COUNTS}
        case BoostedRanker():
            path.trees.save_model(_trees(folder, number))
            return {"kind": BOOSTING, "actions": path.actions}
        case NextTagRanker(following=Transition(bags=bags, weight_FV=weight_FV)):
            np.savez(_weights(folder, number), allow_pickle=False, weight_FV=weight_FV)
            return {"kind": TRANSITION, "tags": path.tag_V.tolist(), "bags": [asdict(bag) for bag in bags]}
    raise ValueError(f"{type(path).__name__} cannot be kept; expected the ranker of {COUNTS}, {BOOSTING}, {TRANSITION}")


def read_path(told: Mapping[str, Any], folder: Path, number: int, counts: Counts1) -> Ranker:
    """Read what `write_path` wrote. Raises InputError if it is of a kind that this code does not know.

    counts: stands in for that of a day until `anchored` is told one.
    """
    match told["kind"]:
        case "counts-1":
            return CountsRanker(counts.fitted, counts.popularity, counts.end)
        case "boosted-ranking":
            trees = xgboost.Booster()
            trees.load_model(_trees(folder, number))
            return BoostedRanker(trees, tuple(told["actions"]), counts.popularity, counts.end)
        case "transition":
            with np.load(_weights(folder, number), allow_pickle=False) as arrays:
                following = Transition(tuple(Bag(**bag) for bag in told["bags"]), arrays["weight_FV"])
            return NextTagRanker(np.array(told["tags"], dtype=object), np.zeros(len(told["tags"])), following)
    raise InputError(
        f"the model in {folder} has a path of the kind {told['kind']!r}, expected {COUNTS}, {BOOSTING} or "
        f"{TRANSITION}: a newer version made it; train again, or score with --model none"
    )


def nobody() -> Popularity:
    """Return what is popular where nobody was seen."""
    none = np.empty(0, np.int64)
    return Popularity(np.empty(0, object), np.empty(0), 0.5, none, none, np.empty(0))


def _trees(folder: Path, number: int) -> Path:
    return folder / f"path-{number}.ubj"


def _weights(folder: Path, number: int) -> Path:
    return folder / f"path-{number}.npz"
