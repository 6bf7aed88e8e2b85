"""The convex start of a network: how much each path counts, before the Transformer has said a word.

Two fits, each with one best answer: the ranking by softmax cross entropy, then how sure by binary cross entropy.

Shape letters: T tags, P paths, N rows (a user at a cut).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from model.transformer.loss import LossWeights, ranking_loss
from model.transformer.questions import Window
from model.transformer.repeat import ConvexStart

MOST_CELLS = 12_000_000  # of rows and tags; of a larger window every so many users are looked at
STEPS = 60
RIDGE = 1e-4


def fit_of_paths(window: Window, weights: LossWeights) -> ConvexStart:
    """Return the weights of the paths that rank best, and the scale and shift that are surest.

    weights: their `power` is that of the shares, as in the training that follows.

    Raises ValueError if nobody touched anything.
    """
    path_NTP, touched_NT = _rows(window)
    judged = int((touched_NT.sum(-1) > 0).sum())
    if not judged:
        raise ValueError("a fit of paths needs a touched tag at least, found none: train through a busier day")
    paths = path_NTP.shape[-1]
    is_touched_NT = (touched_NT > 0).float()
    wanted_NT = is_touched_NT * touched_NT**weights.power
    weight_P = _least(torch.zeros(paths), lambda weight_P: ranking_loss(path_NTP @ weight_P, wanted_NT) / judged)
    log_share_NT = (path_NTP @ weight_P).log_softmax(-1)
    many_NP = path_NTP.logsumexp(1)

    def probability(told: Tensor) -> Tensor:
        odds_NT = told[0].exp() * log_share_NT + (many_NP @ told[2:] + told[1])[:, None]
        return binary_cross_entropy_with_logits(odds_NT, is_touched_NT, reduction="sum") / len(touched_NT)

    scale_bias_many = _least(torch.zeros(paths + 2), probability)
    return ConvexStart(weight_P, float(scale_bias_many[0]), scale_bias_many[2:], float(scale_bias_many[1]))


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


def _rows(window: Window) -> tuple[Tensor, Tensor]:
    users, cuts, tags, paths = window.path_UCTP.shape
    every = max(1, -(-users * cuts * tags // MOST_CELLS))
    question = window.question(np.flatnonzero(window.lengths_U() > 0)[::every])
    is_asked_N = question.is_asked_BC.flatten()
    return (
        question.path_BCTP.reshape(-1, tags, paths)[is_asked_N],
        question.touched_BCT.reshape(-1, tags)[is_asked_N],
    )
