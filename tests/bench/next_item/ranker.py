"""A trained net as something that ranks items.

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

USERS_AT_ONCE = 16  # little enough for what they need to stay in a core's cache


@dataclass(frozen=True, eq=False)
class NetRanker:
    """Says the logarithm of each item's chance to come next; the same of every item for a user without steps."""

    net: NextItemNet

    def scores_BV(self, interactions: Interactions) -> NDArray[Any]:
        """Return the strengths, computed in as many threads as torch is set to use, each with users of its own.

        A user's row does not depend on the others, but for rounding.

        trails: whose `at_N` is the place of each step in its user's life: older steps may have been left out.
        """
        windows = newest_windows(interactions, len(interactions.user_N))
        log_chance_BV = np.full(
            (interactions.users, interactions.things), -np.log(interactions.things), dtype=np.float32
        )
        # Users of like length together, so that little is padding.
        order = np.argsort(windows.length_W, kind="stable")
        order = order[windows.length_W[order] > 0]

        def put(first: int) -> None:
            some = order[first : first + USERS_AT_ONCE]
            batch = batch_of(interactions, interactions.at_N, Windows(windows.first_W[some], windows.length_W[some]))
            log_chance_BV[some] = self.net.log_chance_BV(batch).numpy()

        with scoring_threads(torch.get_num_threads()) as threads:
            list(threads.map(put, range(0, len(order), USERS_AT_ONCE)))
        return log_chance_BV
