"""The convex start of a network: how much each path counts, before the Transformer has said a word.

Fits with one best answer each: the ranking by softmax cross entropy; how sure, and who comes back, by binary ones.

Shape letters: T tags, P paths, N rows (a user at a cut), F numbers of the return head.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from model.transformer.loss import LossWeights, ranking_loss
from model.transformer.questions import Window, batches
from model.transformer.repeat import ConvexStart
from model.transformer.return_head import ReturnStart, lately_BCF

MOST_CELLS = 12_000_000  # of rows and tags; of a larger window every so many users are looked at
STEPS = 60
RIDGE = 1e-4
TOKENS_AT_ONCE = 16_384
LEAST_SPREAD = 1e-3  # of numbers that are nearly alike for everybody


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


def fit_of_return(window: Window) -> ReturnStart:
    """Return the line that foretells best who comes back, over all users and cuts that are asked.

    Steps of a training would take long to find it: the numbers that it weighs rise and fall together.
    """
    lately, returned = [], []
    for user_B in batches(window.lengths_U(), TOKENS_AT_ONCE):
        question = window.question(user_B)
        lately.append(lately_BCF(question.batch)[question.is_asked_BC].float())
        returned.append(question.has_returned_BC[question.is_asked_BC])
    lately_NF, has_returned_N = torch.cat(lately), torch.cat(returned)
    mean_F, spread_F = lately_NF.mean(0), lately_NF.std(0, correction=0).clamp(min=LEAST_SPREAD)
    standard_NF = (lately_NF - mean_F) / spread_F

    def loss(told: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(standard_NF @ told[1:] + told[0], has_returned_N)

    line = _least(torch.zeros(1 + len(mean_F)), loss)
    return ReturnStart(mean_F, spread_F, line[1:], float(line[0]))


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
