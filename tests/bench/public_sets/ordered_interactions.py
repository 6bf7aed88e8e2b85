"""Interactions with a known order and unknown times: the place in the order is the moment.

Shape letters: N steps (see model/baselines/interactions.py), U users.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from model.baselines.interactions import Interactions
from model.data.arrays import Bools, Ints
from model.errors import InputError


def ordered_interactions(user_N: Ints, item_N: Ints, file: Path) -> Interactions:
    """Return one step per line of `file`, in the order of each user's lines; the history of a user is one session.

    user_N: any numbers; users are coded by rising number. item_N: codes from 0, each in use.
    Raises InputError if an item has no line.
    """
    items = int(item_N.max()) + 1 if len(item_N) else 0
    if not len(item_N) or np.bincount(item_N[item_N >= 0], minlength=items).min() == 0 or item_N.min() < 0:
        raise InputError(
            f"{file}: {len(np.unique(item_N)):,} different items, numbered from {item_N.min(initial=0) + 1:,} to "
            f"{items:,}: expected each number from 1 on; get the file again"
        )
    _, code_N = np.unique(user_N, return_inverse=True)
    order = np.argsort(code_N, kind="stable")
    sorted_user_N = code_N[order]
    first_of_user_U = np.searchsorted(sorted_user_N, np.arange(sorted_user_N[-1] + 1))
    return Interactions(
        users=len(first_of_user_U),
        items=items,
        user_N=sorted_user_N,
        item_N=item_N[order],
        at_N=np.arange(len(order)) - first_of_user_U[sorted_user_N],
        session_N=sorted_user_N.copy(),
    )


def of_users(interactions: Interactions, is_selected_U: Bools) -> Interactions:
    """Return the interactions of some users; items without interactions lose their codes."""
    kept = interactions.of_events(is_selected_U[interactions.user_N])
    items, item_N = np.unique(kept.item_N, return_inverse=True)
    user_N = (np.cumsum(is_selected_U) - 1)[kept.user_N]
    return replace(kept, users=int(is_selected_U.sum()), items=len(items), user_N=user_N, item_N=item_N)
