"""The two other outputs of a trained network, without stacked features: the mixture of interests, and tags one by one.

Shape letters: U users, B users of a batch, T tags of the history, V tags of the vocabulary, J tags emitted.
"""

from dataclasses import dataclass

import numpy as np
import torch

from model.data.arrays import Floats
from model.data.history import History
from model.transformer.dataset import MAX_TOKENS, batches
from model.transformer.fit import TOKENS_AT_ONCE, FittedTransformer
from model.transformer.tokens import layout, token_batch

EMITTED = 5
UNRANKED = -1e3


@dataclass(frozen=True, eq=False)
class PathlessRanker:
    """Scores of one network alone, by the mixture of its interests or by the tags that it emits."""

    of: FittedTransformer
    is_tag_by_tag: bool

    @torch.no_grad()
    def scores_UT(self, past: History) -> Floats:
        """Return log probabilities of the mixture, or -1 for the tag emitted first, -2 for the second and so on."""
        network, vocabulary = self.of.networks[0].eval(), self.of.vocabulary
        tokens = layout(past, vocabulary, self.of.size.has_session_tokens)
        scores_UV = np.full((past.users, len(vocabulary.tags)), UNRANKED)
        lengths_U = np.minimum(np.bincount(tokens.user_N, minlength=tokens.users), MAX_TOKENS)
        for user_B in batches(lengths_U, TOKENS_AT_ONCE):
            batch = token_batch(tokens, user_B, [[self.of.cutoff]] * len(user_B), MAX_TOKENS)
            if self.is_tag_by_tag:
                tag_BJ = network.emit_tags(batch, EMITTED)[:, 0].numpy()
                scores_UV[user_B[:, None], tag_BJ] = -1.0 - np.arange(EMITTED)
            else:
                memory_BLD = network.encode(batch)
                mixture_BCT = network.interests(memory_BLD, batch, network.tag_TD).log_mixture_BCT()
                scores_UV[user_B] = mixture_BCT[:, 0].numpy()
        code_T = vocabulary.tag_codes(past.tag_T)
        return np.column_stack([np.full(past.users, UNRANKED), scores_UV])[:, code_T]
