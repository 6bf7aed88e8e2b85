"""From the things of a user's last steps to the thing that comes next: a linear map, fitted in closed form.

What a user did is told by bags: sums over the last steps, each counting less than the one after it. Ridge regression
leads from the bags before each step to the thing of that step.

Source: the closed form is that of ridge regression (Hoerl and Kennard 1970), as Steck 2019 (EASE) fits items from
items; the bags of decaying steps take the place of whole baskets.

Shape letters: N steps, P pairs of two steps of one user, V things, B users of a batch, F features (bag by bag, each has
every thing).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from model.baselines.interactions import Interactions
from model.data.arrays import Floats

MOST_FEATURES_IN_DOUBLE = 15_000  # their square takes 1.8 GB; more of them take the half in single precision


@dataclass(frozen=True)
class Bag:
    """The step k steps back counts `fading` to the power of k, and nothing when it lies further back than `steps`."""

    fading: float  # 0 to 1
    steps: int

    def __post_init__(self) -> None:
        if not 0 < self.fading <= 1 or self.steps < 1:
            raise ValueError(f"a bag fades by 0 to 1 a step over 1 step at least, found {self}")

    def weights(self, count: int) -> Floats:
        """Return what a step counts 1, 2, ... `count` steps back."""
        back = np.arange(1, count + 1)
        return np.where(back <= self.steps, self.fading**back, 0.0)


@dataclass(frozen=True)
class TransitionSettings:
    """What is tuned."""

    bags: tuple[Bag, ...] = (Bag(0.6, 10), Bag(0.93, 50))
    ridge: float = 100.0  # added to the squares of each feature, so that rare things are told little of


@dataclass(frozen=True, eq=False)
class Transition:
    """A fitted map."""

    bags: tuple[Bag, ...]
    weight_FV: NDArray[Any]

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        """Return how strongly each thing is expected next after the last step of each user; 0 for a user without one.

        trails: of a batch of users, things coded as in the fit. A user's row does not depend on the others. Things
        that the user has seen are among the strengths: whoever wants none of them takes them out.
        """
        back_N = interactions.events_after_N()
        most = max(bag.steps for bag in self.bags)
        is_near_N = back_N < most
        back, user, thing = back_N[is_near_N], interactions.user_N[is_near_N], interactions.item_N[is_near_N]
        value = np.concatenate([bag.weights(most)[back] for bag in self.bags]).astype(self.weight_FV.dtype)
        feature = np.concatenate([number * interactions.things + thing for number in range(len(self.bags))])
        shape = (interactions.users, len(self.weight_FV))
        bags_BF = sparse.csr_array((value, (np.tile(user, len(self.bags)), feature)), shape=shape)
        return np.asarray(bags_BF @ self.weight_FV)


def fit_transition(interactions: Interactions, settings: TransitionSettings) -> Transition:
    """Return the map with the least squared error over all steps, plus `ridge` times its squared weights.

    Memory: (bags x things) squared numbers, double precision up to MOST_FEATURES_IN_DOUBLE features.
    """
    features = len(settings.bags) * interactions.things
    dtype = np.float64 if features <= MOST_FEATURES_IN_DOUBLE else np.float32
    gram_FF = _gram_FF(interactions, settings.bags, dtype)
    gram_FF[np.diag_indices(features)] += settings.ridge
    reached_FV = _reached_FV(interactions, settings.bags, dtype)
    # Symmetric, so the transpose is the same matrix, in the memory order that LAPACK overwrites without a copy.
    factor = linalg.cho_factor(gram_FF.T, lower=True, overwrite_a=True, check_finite=False)
    weight_FV = linalg.cho_solve(factor, reached_FV, check_finite=False)
    # LAPACK answers column by column, of which scoring would make a copy for every batch.
    return Transition(settings.bags, np.ascontiguousarray(weight_FV))


def _gram_FF(interactions: Interactions, bags: tuple[Bag, ...], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return the product of the features of all steps with themselves.

    Two steps of one user, `lag` apart, lie in the bags of every step after them that is near enough. How often and with
    which weights depends on `lag` and on the number of steps that follow only; so the product is a sum over pairs of
    steps, and the features of a step need never be written down.
    """
    things, features = interactions.things, len(bags) * interactions.things
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
                block = row * things * features + column * things
                np.add.at(flat, cell_P + block, by_followers[followers_N[later_P]].astype(dtype))
    return half_FF + half_FF.T


def _reached_FV(interactions: Interactions, bags: tuple[Bag, ...], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Return the product of the features of all steps with the things of these steps."""
    things = interactions.things
    before_N = interactions.events_before_N()
    reached_FV = np.zeros((len(bags) * things, things), dtype)
    flat = reached_FV.ravel()
    for number, bag in enumerate(bags):
        for back, weight in enumerate(bag.weights(bag.steps).tolist(), start=1):
            later_P = np.flatnonzero(before_N >= back)
            cell_P = (number * things + interactions.item_N[later_P - back]) * things + interactions.item_N[later_P]
            np.add.at(flat, cell_P, dtype(weight))
    return reached_FV
