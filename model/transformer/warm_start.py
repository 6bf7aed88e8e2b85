"""Parts of a network that have one best answer, found by a fit and not by steps.

Before the training how much each path counts, by softmax cross entropy, and who comes back; after it how sure the
affinities are; these two by binary cross entropy.

Shape letters: T tags, P paths, N rows (a user at a cut), F numbers of the return head, R rates.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from model.data.arrays import Ints
from model.transformer.config import LossWeights
from model.transformer.dataset import TrainingSet, batches
from model.transformer.heads import AffinityFit, RecencyFeatures, ReturnStart
from model.transformer.loss import ranking_loss
from model.transformer.network import InterestTransformer

# Of a larger window every so many users are looked at.
MOST_CELLS = 12_000_000  # rows times tags
MOST_ROWS_ASKED = 8_000  # where the network is asked: everybody takes it a third of an epoch
STEPS = 60
RIDGE = 1e-4
TOKENS_AT_ONCE = 16_384
LEAST_SPREAD = 1e-3  # of numbers that are nearly alike for everybody


def fit_of_paths(window: TrainingSet, weights: LossWeights) -> Tensor:
    """Return the weights (P,) of the paths that rank best.

    weights: their `power` is that of the shares, as in the training that follows.

    Raises ValueError if nobody touched anything.
    """
    stacked_NTP, touched_NT = _rows(window)
    judged = int((touched_NT.sum(-1) > 0).sum())
    if not judged:
        raise ValueError("a fit of paths needs a touched tag at least, found none: train through a busier day")
    wanted_NT = torch.where(touched_NT > 0, touched_NT**weights.power, 0.0)
    start = torch.zeros(stacked_NTP.shape[-1])
    return _least(start, lambda weight_P: ranking_loss(stacked_NTP @ weight_P, wanted_NT) / judged)


@torch.no_grad()
def fit_of_affinity(network: InterestTransformer, window: TrainingSet) -> AffinityFit:
    """Return the scale and shift that make what a trained network says surest, over users and cuts of its training.

    Steps of a training do not find it: the shares are still on the move (demo, calibration error as stated
    in a later week of held-out users: .092 by steps, .021 by this fit).
    """
    shares, rates, touched = [], [], []
    users = _some_users(window, MOST_ROWS_ASKED)
    for of_users in batches(window.lengths_U()[users], TOKENS_AT_ONCE, answers=window.answers):
        question = window.question(users[of_users])
        answer = network(question.batch, question.stacked_BCTP)
        shares.append(answer.log_share_BCT[question.is_asked_BC])
        rates.append(answer.rate_BCR[question.is_asked_BC])
        touched.append(question.touched_BCT[question.is_asked_BC] > 0)
    share_NT, rate_NR, is_touched_NT = torch.cat(shares), torch.cat(rates), torch.cat(touched).float()
    mean_R, spread_R = _mean_and_spread(rate_NR)
    standard_NR = (rate_NR - mean_R) / spread_R

    def loss(told: Tensor) -> Tensor:
        odds_NT = told[0].exp() * share_NT + (standard_NR @ told[2:] + told[1])[:, None]
        return binary_cross_entropy_with_logits(odds_NT, is_touched_NT, reduction="sum") / len(share_NT)

    with torch.enable_grad():
        fitted = _least(torch.zeros(2 + rate_NR.shape[1]), loss)
    weight_R = fitted[2:] / spread_R
    return AffinityFit(float(fitted[0]), float(fitted[1] - weight_R @ mean_R), weight_R)


def fit_of_return(window: TrainingSet) -> ReturnStart:
    """Return the line that foretells best who comes back, over all users and cuts that are asked.

    Steps of a training would take long to find it: the numbers that it weighs rise and fall together.
    """
    lately, returned = [], []
    for user_B in batches(window.lengths_U(), TOKENS_AT_ONCE):
        is_asked_BC = window.is_asked_UC[user_B]
        lately.append(RecencyFeatures.of(window.batch(user_B)).recency_BCF()[torch.from_numpy(is_asked_BC)].float())
        returned.append(window.has_returned_UC[user_B][is_asked_BC])
    recency_NF, has_returned_N = torch.cat(lately), torch.from_numpy(np.concatenate(returned)).float()
    mean_F, spread_F = _mean_and_spread(recency_NF)
    standard_NF = (recency_NF - mean_F) / spread_F

    def loss(told: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(standard_NF @ told[1:] + told[0], has_returned_N)

    line = _least(torch.zeros(1 + len(mean_F)), loss)
    return ReturnStart(mean_F, spread_F, line[1:], float(line[0]))


def _mean_and_spread(told_NF: Tensor) -> tuple[Tensor, Tensor]:
    return told_NF.mean(0), told_NF.std(0, correction=0).clamp(min=LEAST_SPREAD)


def _least(start: Tensor, loss_at: Callable[[Tensor], Tensor]) -> Tensor:
    found = start.requires_grad_()
    search = torch.optim.LBFGS([found], max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        total = loss_at(found) + RIDGE * (found**2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    return found.detach()


def _rows(window: TrainingSet) -> tuple[Tensor, Tensor]:
    tags, paths = window.stacked_UCTP.shape[2:]
    question = window.question(_some_users(window))
    is_asked_N = question.is_asked_BC.flatten()
    return (
        question.stacked_BCTP.reshape(-1, tags, paths)[is_asked_N],
        question.touched_BCT.reshape(-1, tags)[is_asked_N],
    )


def _some_users(window: TrainingSet, most_rows: int | None = None) -> Ints:
    """Return users who are asked: all, or of a large window every so many."""
    users, cutoffs, tags, _ = window.stacked_UCTP.shape
    too_many = max(users * cutoffs * tags / MOST_CELLS, users * cutoffs / most_rows if most_rows else 0.0)
    return np.flatnonzero(window.lengths_U() > 0)[:: max(1, math.ceil(too_many))]
