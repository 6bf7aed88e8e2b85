"""The two other outputs of a trained network, without stacked features: the mixture of interests, and tags one by one.

Shape letters: U users, B users of a batch, T tags of the history, V tags of the vocabulary, J tags emitted.
"""

from dataclasses import dataclass

import numpy as np
import torch

from model.data.arrays import Floats
from model.data.history import History
from model.transformer.dataset import INFERENCE_TOKENS_PER_BATCH, MAX_TOKENS, batch_by_length
from model.transformer.fit import FittedTransformer
from model.transformer.tokens import token_batch, tokenize

EMITTED = 5
UNRANKED = -1e3


@dataclass(frozen=True, eq=False)
class DecoderRanker:
    """Scores of one network alone, by the mixture of its interests or by the tags that it emits."""

    of: FittedTransformer
    is_tag_by_tag: bool

    @torch.no_grad()
    def scores_UT(self, past: History) -> Floats:
        """Return log probabilities of the mixture, or -1 for the tag emitted first, -2 for the second and so on."""
        network, vocabulary = self.of.networks[0].eval(), self.of.vocabulary
        tokens = tokenize(past, vocabulary, self.of.config.has_session_tokens)
        scores_UV = np.full((past.users, len(vocabulary.tags)), UNRANKED)
        lengths_U = tokens.lengths_U(MAX_TOKENS)
        for user_B in batch_by_length(lengths_U, INFERENCE_TOKENS_PER_BATCH):
            batch = token_batch(tokens, user_B, [[self.of.cutoff]] * len(user_B), MAX_TOKENS)
            if self.is_tag_by_tag:
                tag_BJ = network.emit_tags(batch, EMITTED)[:, 0].numpy()
                scores_UV[user_B[:, None], tag_BJ] = -1.0 - np.arange(EMITTED)
            else:
                memory_BLD = network.encode(batch)
                mixture_BCT = network.interest_decoder(memory_BLD, batch, network.tag_TD).log_mixture_BCT()
                scores_UV[user_B] = mixture_BCT[:, 0].numpy()
        code_T = vocabulary.tag_codes(past.tag_T)
        return np.column_stack([np.full(past.users, UNRANKED), scores_UV])[:, code_T]
