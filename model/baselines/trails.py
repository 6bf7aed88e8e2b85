"""Things, tags or items, in the order in which users turned to them.

Shape letters: N steps (a user's together, oldest first).
"""

from dataclasses import dataclass

import numpy as np

from model.arrays import Ints
from model.history import History


@dataclass(frozen=True, eq=False)
class Trails:
    """One step per event and thing of it; a thing is a code from 0 to `things` - 1."""

    users: int
    things: int
    user_N: Ints
    thing_N: Ints
    at_N: Ints  # moment, or merely the place in the user's order where no time is known
    session_N: Ints  # rises within a user; of one user only


def tag_trails(history: History) -> Trails:
    """Return the tags of each user's events; the tags of one event follow each other by name."""
    order_M = np.lexsort((history.tag_M, history.event_M))
    event_N = history.event_M[order_M]
    return Trails(
        users=history.users,
        things=len(history.tag_T),
        user_N=history.user_E[event_N],
        thing_N=history.tag_M[order_M],
        at_N=history.at_E[event_N],
        session_N=history.session_E[event_N],
    )
