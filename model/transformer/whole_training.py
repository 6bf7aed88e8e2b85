"""The training of one network from end to end: convex fits, steps, a convex fit again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model.curves import CurvePoint
from model.transformer.convex import fit_of_affinity, fit_of_paths, fit_of_return
from model.transformer.loss import LossWeights
from model.transformer.machine import Machine
from model.transformer.network import InterestTransformer
from model.transformer.progress import Told
from model.transformer.questions import Window
from model.transformer.return_head import ReturnStart
from model.transformer.size import Size
from model.transformer.trainer import Recipe, Trainer
from model.transformer.vocabulary import Vocabulary


@dataclass(frozen=True)
class Start:
    """The fits with which networks of any seed begin."""

    weight_P: Tensor | None  # None where there is no path
    returning: ReturnStart

    @classmethod
    def of(cls, window: Window, weights: LossWeights) -> "Start":
        has_paths = window.path_UCTP.shape[-1] > 0
        return cls(fit_of_paths(window, weights) if has_paths else None, fit_of_return(window))


def train_network(
    windows: Sequence[Window],
    start: Start,
    vocabulary: Vocabulary,
    size: Size,
    recipe: Recipe,
    told: Told,
    checkpoint: Path | None = None,
) -> tuple[InterestTransformer, Sequence[CurvePoint]]:
    """Return the trained network and its curve; the newest of the windows tells it how sure to be.

    checkpoint: see `Trainer.run`.

    Raises ValueError if there is nothing to learn from.
    """
    torch.manual_seed(recipe.seed)
    known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    network = InterestTransformer(size, *known, paths=windows[-1].path_UCTP.shape[-1])
    if start.weight_P is not None:
        network.start_from(start.weight_P)
    network.returning.start_from(start.returning)
    trainer = Trainer(network, windows, recipe, machine=Machine.found())
    network = trainer.run(told, checkpoint)
    network.affinity_scale.start_from(fit_of_affinity(network, windows[-1]))
    return network, trainer.curves
