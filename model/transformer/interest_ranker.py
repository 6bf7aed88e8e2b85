"""The Transformer before the referee: trained on the windows that ended by the cut, beside its paths.

Shape letters: U users, B users of a batch, T tags asked about, V tags of the vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from model.arrays import Floats
from model.counts.lesson import Lesson
from model.evaluation.contestant import Contestant
from model.history import History
from model.transformer.network import InterestTransformer
from model.transformer.paths import LEAST, Paths, prepare_paths
from model.transformer.questions import Asked, Window, batches
from model.transformer.size import SIZES, Size
from model.transformer.trainer import Recipe, Trainer
from model.transformer.vocabulary import Vocabulary

TOKENS_AT_ONCE = 16_384  # when nothing is learnt
STRONGEST = 50  # tags of a user by each path, on which the fit that the network begins with looks


@dataclass(frozen=True, eq=False)
class TransformerRanker:
    """A Ranker: the mean probability of some networks."""

    networks: tuple[InterestTransformer, ...]
    vocabulary: Vocabulary
    paths: Paths
    size: Size
    cut: int  # moment

    @torch.no_grad()
    def strength_UT(self, past: History) -> Floats:
        """Return the probability that the user touches the tag in the window; next to nothing for an unknown tag."""
        asked = Asked.of(past, self.cut, self.vocabulary, self.paths, self.size)
        strength_UV = np.full((past.users, len(self.vocabulary.tags)), LEAST)
        for user_B in batches(asked.lengths_U(), TOKENS_AT_ONCE):
            batch, path_BCTP = asked.batch(user_B)
            told = [torch.sigmoid(network(batch, path_BCTP).affinity_BCT[:, 0]) for network in self.networks]
            strength_UV[user_B] = torch.stack(told).mean(0).numpy()
        code_T = self.vocabulary.tag_codes(past.tag_T)
        with_unknown = np.column_stack([np.full(past.users, LEAST), strength_UV])
        return with_unknown[:, code_T]


@dataclass(frozen=True)
class TransformerContestant:
    """A Contestant: so many networks of one size, each from another seed, beside the same paths."""

    size: str = "laptop"
    networks: int = 1
    recipe: Recipe = field(default_factory=Recipe)
    paths: tuple[Contestant, ...] = ()

    @property
    def name(self) -> str:
        return "transformer"

    @property
    def states_probabilities(self) -> bool:
        return True

    def settings(self) -> Mapping[str, Any]:
        paths = [{"name": path.name, **path.settings()} for path in self.paths]
        return {
            "size": {"name": self.size, **asdict(SIZES[self.size])},
            "networks": self.networks,
            "recipe": self.recipe.as_json(),
            "paths": paths,
        }

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> TransformerRanker:
        """Train on `taught`; with paths, not on the first of them, by which the paths of the next are prepared.

        Raises ValueError if no window is left to learn from.
        """
        size, vocabulary = SIZES[self.size], Vocabulary.of(past)
        first = 1 if self.paths else 0
        windows = [
            Window.of(lesson, vocabulary, prepare_paths(self.paths, taught[:number], lesson.past, lesson.cut), size)
            for number, lesson in enumerate(taught)
            if number >= first
        ]
        networks = tuple(
            self._trained(size, vocabulary, windows, replace(self.recipe, seed=self.recipe.seed + number))
            for number in range(self.networks)
        )
        return TransformerRanker(networks, vocabulary, prepare_paths(self.paths, taught, past, cut), size, cut)

    def _trained(
        self, size: Size, vocabulary: Vocabulary, windows: Sequence[Window], recipe: Recipe
    ) -> InterestTransformer:
        torch.manual_seed(recipe.seed)
        known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
        network = InterestTransformer(size, *known, paths=len(self.paths))
        if self.paths and windows:
            network.repeat_explore.start_from(*fit_of_paths(windows))
        return Trainer(network, windows, recipe).run()


def fit_of_paths(windows: Sequence[Window]) -> tuple[torch.Tensor, float]:
    """Return the logistic regression of what was touched on what the paths say: the convex start of the network.

    It looks at the strongest tags of each user by any path, and at those that were touched.
    """
    rows, labels = [], []
    for window in windows:
        path_UTP = window.asked.path_UTP
        question = window.question(np.arange(len(path_UTP)))
        is_touched_UT = question.touched_BCT[:, 0].numpy() > 0
        strongest_UTP = np.argsort(np.argsort(-path_UTP, axis=1), axis=1) < STRONGEST
        is_seen_UT = strongest_UTP.any(-1) | is_touched_UT
        rows.append(path_UTP[is_seen_UT])
        labels.append(is_touched_UT[is_seen_UT])
    fitted = LogisticRegression(C=1.0).fit(np.concatenate(rows), np.concatenate(labels))
    return torch.tensor(fitted.coef_[0], dtype=torch.float32), float(fitted.intercept_[0])
