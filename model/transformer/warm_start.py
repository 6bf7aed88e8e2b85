"""Convex fits of parts of a network, which L-BFGS solves better than the steps of a training.

Before the training: the weights of the stacked features (softmax cross entropy) and the return head (binary cross
entropy). After it: the affinity scale (binary cross entropy).

Shape letters: T tags, P stacked features of a user and tag, N rows (a user at a cutoff), F recency features, R rates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from model.data.arrays import Ints
from model.transformer.config import LossWeights
from model.transformer.dataset import INFERENCE_TOKENS_PER_BATCH, TrainingSet, batch_by_length
from model.transformer.heads import AffinityFit, RecencyFeatures, ReturnFit
from model.transformer.loss import ranking_loss
from model.transformer.network import InterestTransformer
from model.transformer.tensors import to_device

# Above these limits every k-th user is used.
MAX_CELLS = 12_000_000  # rows times tags
MAX_NETWORK_ROWS = 8_000  # rows that the network predicts; all of them would take a third of an epoch
ITERATIONS = 60
RIDGE = 1e-4
MIN_SPREAD = 1e-3  # lower bound of a standard deviation


@dataclass(frozen=True)
class WarmStart:
    """The fits with which networks of any seed start."""

    weight_P: Tensor | None  # None without stacked features
    return_fit: ReturnFit

    @classmethod
    def of(cls, training_set: TrainingSet, weights: LossWeights) -> "WarmStart":
        has_features = training_set.stacked_UCTP.shape[-1] > 0
        return cls(fit_feature_weights(training_set, weights) if has_features else None, fit_return_head(training_set))


def fit_feature_weights(training_set: TrainingSet, weights: LossWeights) -> Tensor:
    """Return the weights (P,) of the stacked features that rank best.

    weights: `power` defines the targets, as in the training.
    Raises ValueError if no tag was touched.
    """
    stacked_NTP, touches_NT = _rows(training_set)
    rows = int((touches_NT.sum(-1) > 0).sum())
    if not rows:
        raise ValueError("cannot fit feature weights: found no touched tag; train through a day with more events")
    target_NT = torch.where(touches_NT > 0, touches_NT**weights.power, 0.0)
    start = torch.zeros(stacked_NTP.shape[-1])
    return _minimize(start, lambda weight_P: ranking_loss(stacked_NTP @ weight_P, target_NT) / rows)


@torch.no_grad()
def fit_affinity_scale(network: InterestTransformer, training_set: TrainingSet) -> AffinityFit:
    """Return the scale and shift of a trained network's ranking with the least log loss on its training set.

    The steps of a training do not reach them, since the ranking keeps changing (demo, calibration error of uncalibrated
    probabilities in a later week of held-out users: .092 by steps, .021 by this fit).
    """
    shares, rates, touched = [], [], []
    users = _sampled_users(training_set, MAX_NETWORK_ROWS)
    lengths_U = training_set.lengths_U()[users]
    for index_B in batch_by_length(lengths_U, INFERENCE_TOKENS_PER_BATCH, labels_per_user=training_set.labels_per_user):
        batch = training_set.batch(users[index_B])
        output = network(to_device(batch.tokens, network.device), batch.stacked_BCTP.to(network.device))
        shares.append(output.log_share_BCT.cpu()[batch.has_labels_BC])
        rates.append(output.rate_BCR.cpu()[batch.has_labels_BC])
        touched.append(batch.touches_BCT[batch.has_labels_BC] > 0)
    share_NT, rate_NR, is_touched_NT = torch.cat(shares), torch.cat(rates), torch.cat(touched).float()
    mean_R, spread_R = _mean_and_spread(rate_NR)
    standard_NR = (rate_NR - mean_R) / spread_R

    def loss(values: Tensor) -> Tensor:
        """values: log scale, bias, weights of the rates."""
        odds_NT = values[0].exp() * share_NT + (standard_NR @ values[2:] + values[1])[:, None]
        return binary_cross_entropy_with_logits(odds_NT, is_touched_NT, reduction="sum") / len(share_NT)

    with torch.enable_grad():
        fitted = _minimize(torch.zeros(2 + rate_NR.shape[1]), loss)
    weight_R = fitted[2:] / spread_R
    return AffinityFit(float(fitted[0]), float(fitted[1] - weight_R @ mean_R), weight_R)


def fit_return_head(training_set: TrainingSet) -> ReturnFit:
    """Return the logistic regression of the return on recency features, over all users and cutoffs with labels.

    The steps of a training would be slow, since the features are strongly correlated.
    """
    recency, returned = [], []
    for user_B in batch_by_length(training_set.lengths_U(), INFERENCE_TOKENS_PER_BATCH):
        has_labels_BC = training_set.has_labels_UC[user_B]
        recency_BCF = RecencyFeatures.of(training_set.inputs(user_B)).recency_BCF()
        recency.append(recency_BCF[torch.from_numpy(has_labels_BC)].float())
        returned.append(training_set.has_returned_UC[user_B][has_labels_BC])
    recency_NF, has_returned_N = torch.cat(recency), torch.from_numpy(np.concatenate(returned)).float()
    mean_F, spread_F = _mean_and_spread(recency_NF)
    standard_NF = (recency_NF - mean_F) / spread_F

    def loss(values: Tensor) -> Tensor:
        """values: bias, weights."""
        return binary_cross_entropy_with_logits(standard_NF @ values[1:] + values[0], has_returned_N)

    fitted = _minimize(torch.zeros(1 + len(mean_F)), loss)
    return ReturnFit(mean_F, spread_F, fitted[1:], float(fitted[0]))


def _mean_and_spread(value_NF: Tensor) -> tuple[Tensor, Tensor]:
    return value_NF.mean(0), value_NF.std(0, correction=0).clamp(min=MIN_SPREAD)


def _minimize(start: Tensor, loss_at: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the minimum by L-BFGS (Liu and Nocedal 1989), with a small ridge penalty."""
    values = start.requires_grad_()
    optimizer = torch.optim.LBFGS([values], max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = loss_at(values) + RIDGE * (values**2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return values.detach()


def _rows(training_set: TrainingSet) -> tuple[Tensor, Tensor]:
    tags, features = training_set.stacked_UCTP.shape[2:]
    batch = training_set.batch(_sampled_users(training_set))
    has_labels_N = batch.has_labels_BC.flatten()
    return (
        batch.stacked_BCTP.reshape(-1, tags, features)[has_labels_N],
        batch.touches_BCT.reshape(-1, tags)[has_labels_N],
    )


def _sampled_users(training_set: TrainingSet, max_rows: int | None = None) -> Ints:
    """Return the users with labels; of a large training set every k-th."""
    users, cutoffs, tags, _ = training_set.stacked_UCTP.shape
    excess = max(users * cutoffs * tags / MAX_CELLS, users * cutoffs / max_rows if max_rows else 0.0)
    return np.flatnonzero(training_set.lengths_U() > 0)[:: max(1, math.ceil(excess))]
