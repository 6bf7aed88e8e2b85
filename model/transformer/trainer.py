"""The training of a network from the first step to the last, with checkpoints, on one process or several ranks.

`TrainState` holds the network, its moving average and the optimizer, and takes single steps. `Trainer` runs the epochs,
reports progress, and writes and reads the checkpoint. `TrainingCurve` collects the losses, `WeightAverage` averages the
weights.
"""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from model.data.arrays import Ints
from model.interfaces import CurvePoint
from model.transformer.checkpoint import Checkpoint, Fingerprint, fingerprint
from model.transformer.config import TrainingConfig
from model.transformer.dataset import Batch, TrainingSet, plan_epoch, users_of_rank
from model.transformer.distributed import Runtime
from model.transformer.loss import total_loss
from model.transformer.network import InterestTransformer
from model.transformer.progress import Meter, StepCallback, no_progress
from model.transformer.tensors import flatten, move, unflatten
from model.transformer.tokens import EVENT

CURVE_POINTS = 200  # of a whole training
MAX_GRADIENT_NORM = 1.0

Network = TypeVar("Network", bound=nn.Module)


class WeightAverage(Generic[Network]):
    """An exponential moving average of the weights of a network, held in a copy of it.

    Source: Polyak and Juditsky 1992, in the exponential form.
    """

    def __init__(self, network: Network, decay: float) -> None:
        """decay: the weight of the previous average in each step, 0 to 1."""
        self.decay, self.steps = decay, 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Add the weights after one more step."""
        # A smaller decay in the first steps, so that the initial weights vanish from the average of a short training.
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
        self.steps += 1


class TrainingCurve:
    """The points of the loss curve, and the losses since the last point."""

    def __init__(self, steps: int) -> None:
        self.every = max(1, steps // CURVE_POINTS)
        self.points: list[CurvePoint] = []
        self.losses: list[float] = []

    def add(self, step: int, loss: float, learning_rate: float) -> None:
        self.losses.append(loss)
        if step % self.every == 0:
            self.points.append(CurvePoint(step, sum(self.losses) / len(self.losses), learning_rate))
            self.losses = []

    def state(self) -> dict[str, Any]:
        return {"points": [asdict(point) for point in self.points], "losses": list(self.losses)}

    def restore(self, state: dict[str, Any]) -> None:
        self.points = [CurvePoint(**point) for point in state["points"]]
        self.losses = list(state["losses"])


class LossModule(nn.Module):
    """A network and its loss as one module, since ranks average the gradients of one module's `forward`."""

    def __init__(self, network: InterestTransformer, config: TrainingConfig) -> None:
        super().__init__()
        self.network, self.weights = network, config.weights

    def forward(self, by_name: dict[str, Tensor]) -> Tensor:
        """Return the loss, a scalar. by_name: a flattened `Batch`."""
        batch = unflatten(Batch, by_name)
        return total_loss(self.network, self.network(batch.tokens, batch.stacked_BCTP), batch, self.weights)


@dataclass(frozen=True)
class StepResult:
    loss: float  # of this rank's users
    learning_rate: float
    events: int  # read by all ranks


class TrainState:
    """A network, its moving average and its optimizer, on the device of the runtime."""

    def __init__(self, network: InterestTransformer, config: TrainingConfig, runtime: Runtime) -> None:
        self.network, self.config = network, config
        self.fabric = runtime.fabric()
        self.optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.loss_module: nn.Module
        self.wrapped_optimizer: Any  # Fabric's is no Optimizer
        self.loss_module, self.wrapped_optimizer = self.fabric.setup(LossModule(network, config), self.optimizer)
        self.moving_average = WeightAverage(network, config.ema_decay)

    @property
    def average(self) -> InterestTransformer:
        """The network of the averaged weights."""
        return self.moving_average.network

    @property
    def is_main_rank(self) -> bool:
        """Whether this rank writes the checkpoint."""
        return bool(self.fabric.is_global_zero)

    def take_step(self, training_set: TrainingSet, user_B: Ints, step: int, steps: int) -> StepResult:
        """Update the weights by this rank's share of the users."""
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        by_name = flatten(training_set.batch(users_of_rank(user_B, rank, ranks)))
        events = int((by_name["tokens.kind_BL"] == EVENT).sum()) * ranks
        learning_rate = self.config.learning_rate_at(step, steps)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        torch.manual_seed(self.config.dropout_seed(step, rank))
        loss: Tensor = self.loss_module(move(by_name, self.fabric.device))
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.wrapped_optimizer.step()
        self.moving_average.update(self.network)
        return StepResult(float(loss.detach()), learning_rate, events)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "averaged_steps": self.moving_average.steps,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.moving_average.steps = state["averaged_steps"]


class Trainer:
    """Trains a network. Trainers with the same configuration, network and training sets give equal weights, bit for
    bit."""

    def __init__(
        self,
        network: InterestTransformer,
        sets: Sequence[TrainingSet],
        config: TrainingConfig,
        runtime: Runtime | None = None,
    ) -> None:
        """runtime: None for one process on one CPU. With several ranks each reads its share of every batch.

        Raises ValueError if there is no training set.
        """
        if not sets:
            raise ValueError("a network needs at least one window to train on, found none: train through a later day")
        self.network, self.sets, self.config = network, sets, config
        self.train_state = TrainState(network, config, runtime or Runtime())
        self.epoch = self.batch = self.step = 0  # finished epochs, batches of the current epoch, and steps overall
        # The number of batches may differ between epochs. That of the first sets the length of the schedule.
        self.steps = config.epochs * len(self._plan(0))
        self.curve = TrainingCurve(self.steps)

    def run(
        self, on_step: StepCallback = no_progress, checkpoint: Checkpoint | Path | None = None
    ) -> InterestTransformer:
        """Train to the end, from the checkpoint if the file exists, and return the averaged network on its device.

        checkpoint: written when it is due and after each epoch. A killed training resumes from it; with the same number
        of ranks it ends with the same weights, bit for bit. Ranks on several nodes need it on a shared disk.

        Raises InputError if the checkpoint is of another training.
        """
        saved = Checkpoint(checkpoint) if isinstance(checkpoint, Path) else checkpoint
        training = fingerprint(self.network, self.sets, self.config) if saved else {}
        if saved:
            self._resume(saved, training)
        meter = Meter(self.step, self.steps)
        self.network.train()
        while self.epoch < self.config.epochs:
            for training_set, user_B in self._plan(self.epoch)[self.batch :]:
                result = self.train_state.take_step(training_set, user_B, self.step, self.steps)
                self.step, self.batch = self.step + 1, self.batch + 1
                self.curve.add(self.step, result.loss, result.learning_rate)
                on_step(meter.progress(self.step, result.loss, result.events))
                if saved and saved.is_due:
                    self._save(saved, training)
            self.epoch, self.batch = self.epoch + 1, 0
            if saved:
                self._save(saved, training)
        return self.train_state.average

    def _plan(self, epoch: int) -> list[tuple[TrainingSet, Ints]]:
        return plan_epoch(self.sets, self.config.tokens_per_batch, np.random.default_rng([self.config.seed, epoch]))

    def _save(self, checkpoint: Checkpoint, training: Fingerprint) -> None:
        if self.train_state.is_main_rank:
            position = [self.epoch, self.batch, self.step]
            state = {"position": position, "train_state": self.train_state.state(), "curve": self.curve.state()}
            checkpoint.write(training, state)

    def _resume(self, checkpoint: Checkpoint, training: Fingerprint) -> None:
        state = checkpoint.read(training)
        if state:
            self.epoch, self.batch, self.step = state["position"]
            self.train_state.restore(state["train_state"])
            self.curve.restore(state["curve"])
