"""The Transformer before the referee: trained on the windows that ended by the cut, beside its paths.

Shape letters: U users, B users of a batch, T tags asked about, V tags of the vocabulary.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from model.arrays import Floats
from model.counts.lesson import Lesson
from model.curves import CurvePoint
from model.evaluation.contestant import Contestant, CostlyContestant
from model.history import History
from model.transformer.dense import dense_lessons
from model.transformer.network import InterestTransformer
from model.transformer.paths import LEAST, CrossFittedPaths, Paths, prepare_paths
from model.transformer.progress import Told, unwatched
from model.transformer.questions import Asked, Window, batches
from model.transformer.scratch import IN_MEMORY, Scratch
from model.transformer.size import SIZES, Size
from model.transformer.trainer import Recipe
from model.transformer.vocabulary import Vocabulary
from model.transformer.whole_training import Start, train_network
from model.user_hash import lowest_hashes_U

TOKENS_AT_ONCE = 16_384  # when nothing is learnt
# That paths say of the users from whom a network learns, 4 bytes each. Where many tags are asked about at many cuts,
# fewer users teach it; what the paths learn from is all of them.
MOST_NUMBERS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class TransformerRanker:
    """A Ranker: the mean probability of some networks."""

    networks: tuple[InterestTransformer, ...]
    vocabulary: Vocabulary
    paths: Paths
    size: Size
    cut: int  # moment
    curves: tuple[Sequence[CurvePoint], ...] = ()  # how each network was trained, where that was kept

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
    cuts_a_window: int = 1  # at how many moments in the length of a window a user is asked in training
    recipe: Recipe = field(default_factory=Recipe)
    paths: tuple[Contestant, ...] = ()
    watch: Told = field(default=unwatched, compare=False)  # is told of every step of a training
    scratch: Scratch = field(default=IN_MEMORY, compare=False)  # a training that is killed goes on from there

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
            "cuts_a_window": self.cuts_a_window,
            "recipe": self.recipe.as_json(),
            "paths": paths,
        }

    def __getstate__(self) -> Mapping[str, Any]:
        return {**self.__dict__, "watch": unwatched}  # who watches stays in this process

    def for_the_guard(self) -> "TransformerContestant":
        """Return one network of one epoch: all paths, windows and cuts are laid out and read as for the whole one."""
        paths = tuple(path.for_the_guard() if isinstance(path, CostlyContestant) else path for path in self.paths)
        return replace(self, networks=1, recipe=replace(self.recipe, epochs=1), paths=paths)

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> TransformerRanker:
        """Train on the windows of `taught` and on those between them.

        Raises ValueError if there is no window to learn from.
        """
        size, vocabulary = SIZES[self.size], Vocabulary.of(past)
        lessons = dense_lessons(taught, past, self.cuts_a_window)
        crossed = CrossFittedPaths.of(self.paths, taught, past, cut)
        read = past
        most_users = MOST_NUMBERS // (len(lessons) * len(vocabulary.tags) * max(1, crossed.numbers))
        if past.users > most_users:
            read = past.of_users(lowest_hashes_U(past.user_id_U, most_users))
            lessons = [one.of_users(np.isin(one.past.user_id_U, read.user_id_U)) for one in lessons]
        scratch = self.scratch.part(f"{cut}-{self._digest()}")
        window = Window.of(read, lessons, vocabulary, crossed, size, scratch)
        start = Start.of(window, self.recipe.weights)
        recipes = [replace(self.recipe, seed=self.recipe.seed + number) for number in range(self.networks)]
        trained = [
            train_network(
                [window], start, vocabulary, size, recipe, self.watch, scratch.file(f"network-{recipe.seed}.pt")
            )
            for recipe in recipes
        ]
        networks, curves = zip(*trained, strict=True)
        paths = prepare_paths(self.paths, taught, past, cut)
        return TransformerRanker(networks, vocabulary, paths, size, cut, curves)

    def _digest(self) -> str:
        """Name what this contestant trains, so that another one does not go on from it."""
        return sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()[:16]
