"""Items of users whose order is known and whose moments are not: the place in the order is the moment.

Shape letters: N steps (see model/baselines/interactions.py), U users.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from model.baselines.interactions import Interactions
from model.data.arrays import Bools, Ints
from model.errors import InputError


def interactions_in_order(user_N: Ints, item_N: Ints, file: Path) -> Interactions:
    """Return one step a line of `file`, lines of a user in their order; the whole life of a user is one session.

    user_N: any numbers; users are coded by rising number. item_N: codes from 0, each in use.
    Raises InputError if an item has no line: the catalogue, which is ranked, would have holes.
    """
    things = int(item_N.max()) + 1 if len(item_N) else 0
    if not len(item_N) or np.bincount(item_N[item_N >= 0], minlength=things).min() == 0 or item_N.min() < 0:
        raise InputError(
            f"{file}: {len(np.unique(item_N)):,} different items, numbered from {item_N.min(initial=0) + 1:,} to "
            f"{things:,}: expected each number from 1 on; get the file anew"
        )
    _, code_N = np.unique(user_N, return_inverse=True)
    order = np.argsort(code_N, kind="stable")
    sorted_user_N = code_N[order]
    first_of_user_U = np.searchsorted(sorted_user_N, np.arange(sorted_user_N[-1] + 1))
    return Interactions(
        users=len(first_of_user_U),
        things=things,
        user_N=sorted_user_N,
        item_N=item_N[order],
        at_N=np.arange(len(order)) - first_of_user_U[sorted_user_N],
        session_N=sorted_user_N.copy(),
    )


def of_users(interactions: Interactions, is_kept_U: Bools) -> Interactions:
    """Return the trails of some users; things that none of them turned to lose their codes."""
    kept = interactions.of_events(is_kept_U[interactions.user_N])
    things, item_N = np.unique(kept.item_N, return_inverse=True)
    user_N = (np.cumsum(is_kept_U) - 1)[kept.user_N]
    return replace(kept, users=int(is_kept_U.sum()), things=len(things), user_N=user_N, item_N=item_N)
