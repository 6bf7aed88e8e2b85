"""Training of a network: AdamW with warm-up and cosine, averaged weights, the best epoch of a validation."""

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.baselines.interactions import Interactions
from model.transformer.config import lr_schedule
from model.transformer.distributed import Runtime
from model.transformer.trainer import WeightAverage
from tests.bench.next_item.loss import next_item_loss
from tests.bench.next_item.network import ItemSize, NextItemNet
from tests.bench.next_item.windows import TrainingBatch, batches_of_epoch, windows

STEADY_GRADIENT = 1.0  # longer gradients are clipped to this length
SEEDS_OF_RANKS = 1_000_003  # how far the seeds of two ranks lie apart


@dataclass(frozen=True)
class ItemTrainingConfig:
    """All settings of a training; with the data they repeat it."""

    size: ItemSize = field(default_factory=ItemSize)
    epochs: int = 45
    newest: int = 200  # items of a window
    tokens_at_once: int = 2048
    learning_rate: float = 1e-3
    warm_up_steps: int = 100
    weight_decay: float = 0.01
    averaging: float = 0.998  # share that the average keeps per step
    validate_every: int = 5  # epochs
    seed: int = 1

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ItemProgress:
    """Where a training stands."""

    epoch: int  # begun ones
    step: int
    steps: int  # about
    loss: float
    tokens: int  # read since the start, about, by all ranks
    seconds: float  # spent on steps, without validation
    validation_score: float | None  # after an epoch that was validated


Progress = Callable[[ItemProgress], None]
Validate = Callable[[NextItemNet], float]


class _NetAndLoss(nn.Module):
    """A network and its loss as one module, since ranks average the gradients of one module's `forward`."""

    def __init__(self, net: NextItemNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: TrainingBatch) -> Tensor:
        expected_RD = self.net(batch.read)[batch.read.is_real_BL()]
        return next_item_loss(expected_RD, batch.target_R, self.net.item.weight)


def train_net(
    interactions: Interactions,
    config: ItemTrainingConfig,
    validate: Validate,
    progress: Progress = lambda step: None,
    runtime: Runtime | None = None,
) -> NextItemNet:
    """Return the averaged net at the epoch with the highest value of `validate`.

    runtime: None for one process. Each of several ranks reads its share of the windows of a batch, and all return the
    same net. The same arguments make the same weights on one thread a rank, bit for bit. Sets the global seed of torch.
    Raises ValueError if no user has two steps.
    """
    steps = config.epochs * batches_of_epoch(interactions, config.newest, config.tokens_at_once)
    if not steps:
        raise ValueError("no user has two steps, expected one such user at least: a network learns which item follows")
    torch.manual_seed(config.seed)
    net = NextItemNet(config.size, interactions.items)
    fabric = (runtime or Runtime()).fabric()
    rank, ranks = fabric.global_rank, fabric.world_size
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98), fused=True
    )
    net_and_loss, _ = fabric.setup(_NetAndLoss(net), optimizer)
    average = WeightAverage(net, config.averaging)
    torch.manual_seed(config.seed + SEEDS_OF_RANKS * rank)
    best, best_score, step, tokens, seconds = average.network, -np.inf, 0, 0, 0.0
    for epoch in range(1, config.epochs + 1):
        begun = time.perf_counter()
        random = np.random.default_rng([config.seed, epoch])
        for batch in windows(interactions, config.newest, config.tokens_at_once, random, rank, ranks):
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * lr_schedule(step, steps, config.warm_up_steps)
            loss: Tensor = net_and_loss(batch)
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            torch.nn.utils.clip_grad_norm_(net.parameters(), STEADY_GRADIENT, foreach=True)
            optimizer.step()
            average.update(net)
            step, tokens = step + 1, tokens + ranks * len(batch.target_R)
            progress(
                ItemProgress(
                    epoch, step, steps, float(loss.detach()), tokens, seconds + time.perf_counter() - begun, None
                )
            )
        seconds += time.perf_counter() - begun
        if epoch % config.validate_every == 0 or epoch == config.epochs:
            validation_score = validate(average.network)
            progress(ItemProgress(epoch, step, steps, float(loss.detach()), tokens, seconds, validation_score))
            if validation_score > best_score:
                best, best_score = copy.deepcopy(average.network), validation_score
    return best
