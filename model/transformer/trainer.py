"""A training from its first step to its last: epochs, judgements, checkpoints to go on from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.arrays import Ints
from model.curves import CurvePoint
from model.transformer.checkpoint import Checkpoint, Fingerprint, fingerprint
from model.transformer.curve import Curve
from model.transformer.early_stop import EarlyStop, Judge
from model.transformer.learner import Learner
from model.transformer.machine import Machine
from model.transformer.network import InterestTransformer
from model.transformer.progress import Meter, Told, unwatched
from model.transformer.recipe import Recipe as Recipe
from model.transformer.source import Source, plan


class Trainer:
    """A network on its way. Two trainers of the same recipe, network and sources make the same weights, bit for bit."""

    def __init__(
        self,
        network: InterestTransformer,
        sources: Sequence[Source],
        recipe: Recipe,
        judge: Judge | None = None,
        machine: Machine | None = None,
    ) -> None:
        """judge: tells after each epoch what the averaged network is worth; without one, all epochs are done.

        machine: None for one process on one CPU. Of several ranks each learns from its share of every batch.

        Raises ValueError if there is nothing to learn from.
        """
        if not sources:
            raise ValueError("a network needs one window at least to learn from, found none: train through a later day")
        self.network, self.sources, self.recipe, self.judge = network, sources, recipe, judge
        self.learner = Learner(network, recipe, machine or Machine())
        self.epoch = self.batch = self.step = 0  # epochs done, batches done of the next one, batches done over all
        # Other noise may mix other batches, so their number is that of the first epoch, which paces the cosine.
        self.steps = recipe.epochs * len(self._plan(0))
        self.curve, self.early_stop = Curve(self.steps), EarlyStop(recipe.patience)

    @property
    def curves(self) -> Sequence[CurvePoint]:
        return self.curve.points

    @property
    def chosen_epochs(self) -> int:
        """After how many epochs the network that `run` returned stood."""
        return self.early_stop.best_epochs or self.epoch

    def run(self, told: Told = unwatched, checkpoint: Checkpoint | Path | None = None) -> InterestTransformer:
        """Train to the end, from the checkpoint if it is there; return the averaged network, the best one if judged.

        checkpoint: written when it is due and after each epoch, so that a killed training goes on from it: with as
        many ranks as before to the same weights, bit for bit. Ranks on several nodes need it on a disk that all see.

        Raises InputError if the checkpoint is of another training, ValueError if a judgement is no number.
        """
        kept = Checkpoint(checkpoint) if isinstance(checkpoint, Path) else checkpoint
        of = fingerprint(self.network, self.sources, self.recipe, self.judge) if kept else {}
        if kept:
            self._resume(kept, of)
        meter = Meter(self.step, self.steps)
        self.network.train()
        while self.epoch < self.recipe.epochs and not self.early_stop.is_over:
            for source, user_B in self._plan(self.epoch)[self.batch :]:
                taken = self.learner.take(source, user_B, self.step, self.steps)
                self.step, self.batch = self.step + 1, self.batch + 1
                self.curve.trained(self.step, taken.loss, taken.learning_rate)
                told(meter.progress(self.step, taken.loss, taken.events))
                if kept and kept.is_due:
                    self._save(kept, of)
            self.epoch, self.batch = self.epoch + 1, 0
            self._judge()
            if kept:
                self._save(kept, of)
        if self.early_stop.weights:
            self.learner.average.load_state_dict(self.early_stop.weights)
        return self.learner.average.cpu()

    def _plan(self, epoch: int) -> list[tuple[Source, Ints]]:
        return plan(self.sources, self.recipe.tokens_at_once, np.random.default_rng([self.recipe.seed, epoch]))

    def _judge(self) -> None:
        """Judge on one rank, so that all agree to the last bit on when to stop."""
        if self.judge is None:
            return
        average = self.learner.average
        judgement = self.learner.fabric.broadcast(self.judge(average) if self.learner.leads else 0.0)
        self.curve.judged(self.step, judgement)
        self.early_stop.judged(self.epoch, judgement, average)

    def _save(self, kept: Checkpoint, of: Fingerprint) -> None:
        if self.learner.leads:
            parts = {name: getattr(self, name).state() for name in ("learner", "curve", "early_stop")}
            kept.write(of, {"stands": [self.epoch, self.batch, self.step], **parts})

    def _resume(self, kept: Checkpoint, of: Fingerprint) -> None:
        state = kept.read(of)
        if state:
            self.epoch, self.batch, self.step = state["stands"]
            for name in ("learner", "curve", "early_stop"):
                getattr(self, name).restore(state[name])
