"""A linear map from the items of a user's last events to the next item, fitted in closed form.

The input are bags: sums over the last events, in which each event counts less than the one after it. Ridge regression
maps the bags before each event to the item of that event.

Source: the closed form is that of ridge regression (Hoerl and Kennard 1970), as Steck 2019 (EASE) fits items from
items; the bags of decaying events take the place of whole baskets.

Shape letters: N events, P pairs of two events of one user, V items, B users of a batch, F features (bag by bag, each
has every item).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from model.baselines.interactions import Interactions
from model.data.arrays import Floats

MAX_FEATURES_IN_DOUBLE = 15_000  # their square takes 1.8 GB; more of them take the half in single precision


@dataclass(frozen=True)
class Bag:
    """The event k events back counts `fading` to the power of k, and 0 beyond `steps` events."""

    fading: float  # 0 to 1
    steps: int

    def __post_init__(self) -> None:
        if not 0 < self.fading <= 1 or self.steps < 1:
            raise ValueError(f"expected a bag with fading above 0 and up to 1, over at least 1 step, found {self}")

    def weights(self, count: int) -> Floats:
        """Return the weight of the event 1, 2, ... `count` events back."""
        back = np.arange(1, count + 1)
        return np.where(back <= self.steps, self.fading**back, 0.0)


@dataclass(frozen=True)
class TransitionSettings:
    """The tuned settings."""

    bags: tuple[Bag, ...] = (Bag(0.6, 10), Bag(0.93, 50))
    ridge: float = 100.0  # added to the squares of each feature, so that rare items weigh little


@dataclass(frozen=True, eq=False)
class Transition:
    """A fitted map."""

    bags: tuple[Bag, ...]
    weight_FV: NDArray[Any]

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        """Return a score of each item as the next one of each user; 0 for a user without an event.

        interactions: of a batch of users, items coded as in the fit. A user's row does not depend on the others. Items
        that the user has seen have scores too.
        """
        back_N = interactions.events_after_N()
        most = max(bag.steps for bag in self.bags)
        is_near_N = back_N < most
        back, user, item = back_N[is_near_N], interactions.user_N[is_near_N], interactions.item_N[is_near_N]
        value = np.concatenate([bag.weights(most)[back] for bag in self.bags]).astype(self.weight_FV.dtype)
        feature = np.concatenate([number * interactions.items + item for number in range(len(self.bags))])
        shape = (interactions.users, len(self.weight_FV))
        bags_BF = sparse.csr_array((value, (np.tile(user, len(self.bags)), feature)), shape=shape)
        return np.asarray(bags_BF @ self.weight_FV)


def fit_transition(interactions: Interactions, settings: TransitionSettings) -> Transition:
    """Return the map with the least squared error over all events, plus `ridge` times its squared weights.

    Memory: (bags x items) squared numbers, double precision up to MAX_FEATURES_IN_DOUBLE features.
    """
    features = len(settings.bags) * interactions.items
    dtype = np.float64 if features <= MAX_FEATURES_IN_DOUBLE else np.float32
    gram_FF = _gram_FF(interactions, settings.bags, dtype)
    gram_FF[np.diag_indices(features)] += settings.ridge
    reached_FV = _reached_FV(interactions, settings.bags, dtype)
    # Symmetric, so the transpose is the same matrix, in the memory order that LAPACK overwrites without a copy.
    factor = linalg.cho_factor(gram_FF.T, lower=True, overwrite_a=True, check_finite=False)
    weight_FV = linalg.cho_solve(factor, reached_FV, check_finite=False)
    # LAPACK answers column by column, of which scoring would make a copy for every batch.
    return Transition(settings.bags, np.ascontiguousarray(weight_FV))


def _gram_FF(interactions: Interactions, bags: tuple[Bag, ...], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return the product of the features of all events with themselves.

    Two events of one user, `lag` apart, are in the bags of every near enough event after them. Their count and weights
    depend only on `lag` and on the number of events that follow. So the product is a sum over pairs of events, and the
    features of an event are never built.
    """
    items, features = interactions.items, len(bags) * interactions.items
    longest = max(bag.steps for bag in bags)
    before_N = interactions.events_before_N()
    followers_N = np.minimum(interactions.events_after_N(), longest)
    half_FF = np.zeros((features, features), dtype)
    flat = half_FF.ravel()
    for lag in range(longest):
        later_P = np.flatnonzero(before_N >= lag)
        cell_P = interactions.item_N[later_P] * features + interactions.item_N[later_P - lag]
        for row, bag_of_later in enumerate(bags):
            for column, bag_of_earlier in enumerate(bags):
                together = np.cumsum(bag_of_later.weights(longest) * bag_of_earlier.weights(longest + lag)[lag:])
                by_followers = np.concatenate([[0.0], together]) * (1.0 if lag else 0.5)
                block = row * items * features + column * items
                np.add.at(flat, cell_P + block, by_followers[followers_N[later_P]].astype(dtype))
    return half_FF + half_FF.T


def _reached_FV(interactions: Interactions, bags: tuple[Bag, ...], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return the product of the features of all events with the items of these events."""
    items = interactions.items
    before_N = interactions.events_before_N()
    reached_FV = np.zeros((len(bags) * items, items), dtype)
    flat = reached_FV.ravel()
    for number, bag in enumerate(bags):
        for back, weight in enumerate(bag.weights(bag.steps).tolist(), start=1):
            later_P = np.flatnonzero(before_N >= back)
            cell_P = (number * items + interactions.item_N[later_P - back]) * items + interactions.item_N[later_P]
            np.add.at(flat, cell_P, dtype(weight))
    return reached_FV
