"""Items of users whose order is known and whose moments are not: the place in the order is the moment.

Shape letters: N steps (see model/baselines/trails.py).
"""

from pathlib import Path

import numpy as np

from model.arrays import Ints
from model.baselines.trails import Trails
from model.errors import InputError


def trails_in_order(user_N: Ints, item_N: Ints, file: Path) -> Trails:
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
    return Trails(
        users=len(first_of_user_U),
        things=things,
        user_N=sorted_user_N,
        thing_N=item_N[order],
        at_N=np.arange(len(order)) - first_of_user_U[sorted_user_N],
        session_N=sorted_user_N.copy(),
    )


def users_between(trails: Trails, first: int, end: int) -> Trails:
    """Return the trails of the users from number `first` on and before `end`, numbered from 0."""
    start, stop = np.searchsorted(trails.user_N, [first, end])
    part = slice(start, stop)
    return Trails(
        users=end - first,
        things=trails.things,
        user_N=trails.user_N[part] - first,
        thing_N=trails.thing_N[part],
        at_N=trails.at_N[part],
        session_N=trails.session_N[part],
    )
