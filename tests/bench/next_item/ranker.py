"""A trained network that ranks items.

Shape letters: B users of a batch, V items.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.baselines.interactions import Interactions
from model.transformer.distributed import scoring_threads
from tests.bench.next_item.network import NextItemNet
from tests.bench.next_item.windows import Windows, batch_of, newest_windows

USERS_AT_ONCE = 16  # few enough to stay in the cache of a core


@dataclass(frozen=True, eq=False)
class NetRanker:
    """Predicts the log probability of each item to come next; uniform for a user without steps."""

    net: NextItemNet

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        """Return the scores, computed in as many threads as torch uses, each with its own users.

        A user's row does not depend on the others, but for rounding.

        interactions: `at_N` is the place of each step in its user's life: older steps may have been left out.
        """
        windows = newest_windows(interactions, len(interactions.user_N))
        log_probability_BV = np.full(
            (interactions.users, interactions.items), -np.log(interactions.items), dtype=np.float32
        )
        # Users of like length together, so that little is padding.
        order = np.argsort(windows.length_W, kind="stable")
        order = order[windows.length_W[order] > 0]

        def put(first: int) -> None:
            some = order[first : first + USERS_AT_ONCE]
            batch = batch_of(interactions, interactions.at_N, Windows(windows.first_W[some], windows.length_W[some]))
            log_probability_BV[some] = self.net.log_probability_BV(batch).numpy()

        with scoring_threads(torch.get_num_threads()) as threads:
            list(threads.map(put, range(0, len(order), USERS_AT_ONCE)))
        return log_probability_BV
