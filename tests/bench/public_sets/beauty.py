"""Amazon Beauty as S3-Rec has it: one user a line, "user item item ...", in order; an item has several attributes.

Shape letters: see model/data/history.py; N events (see model/baselines/interactions.py), V items, A pairs of item and
attribute.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from model.baselines.interactions import Interactions
from model.data.arrays import Ints, Texts
from model.data.days import MICROS_PER_DAY, day_number
from model.data.history import History
from model.errors import InputError
from tests.bench.public_sets.files import BEAUTY, public_file
from tests.bench.public_sets.ordered_interactions import ordered_interactions

ORDER_FILE, ATTRIBUTES_FILE = "Beauty.txt", "Beauty_item2attributes.json"
NEWEST = 50  # items of a user that a model may use, as in S3-Rec
LAST_DAY = date(2000, 1, 1)  # of all last items: any day with enough days since the epoch before it


@dataclass(frozen=True, eq=False)
class Beauty:
    """The items of all users in order, and the attributes of each item."""

    interactions: Interactions  # item v is the item v + 1 of the file
    item_A: Ints  # rising
    attribute_A: Ints  # each once for an item
    attribute_names: Texts  # sorted; a name is a number with leading zeros


def read_beauty(folder: Path) -> Beauty:
    """Return the set. folder: that of all public sets.

    Raises InputError if a file is missing, or if an item has no attributes.
    """
    file = public_file(BEAUTY, ORDER_FILE, folder)
    lines = [line.split() for line in file.read_text("ascii").splitlines()]
    user_N = np.repeat(np.arange(len(lines)), [len(words) - 1 for words in lines])
    item_N = np.array([word for words in lines for word in words[1:]], dtype=np.int64) - 1
    interactions = ordered_interactions(user_N, item_N, file)
    return Beauty(interactions, *_attributes(public_file(BEAUTY, ATTRIBUTES_FILE, folder), interactions.items))


def _attributes(file: Path, items: int) -> tuple[Ints, Ints, Texts]:
    attributes_of = {int(item) - 1: values for item, values in json.loads(file.read_text("utf-8")).items()}
    without = [item + 1 for item in range(items) if not attributes_of.get(item)]
    if without:
        raise InputError(
            f"{file}: no attributes of {len(without):,} of {items:,} items, the first of them {without[0]}: expected "
            f"one at least of each item of {ORDER_FILE}; get both files from the same place"
        )
    pairs = np.unique([(item, value) for item in range(items) for value in attributes_of[item]], axis=0)
    values, code_A = np.unique(pairs[:, 1], return_inverse=True)
    width = len(str(values[-1]))
    return pairs[:, 0], code_A, np.array([f"{value:0{width}}" for value in values], object)


def attribute_history(beauty: Beauty) -> History:
    """Return the attributes as tags, one event a step, each step a session of its own.

    The set has no times. One step is one day, so a half-life in days counts steps. The last step of each user lies on
    LAST_DAY: the window of that day is each user's last item, that of the day before is the second last.
    """
    interactions = beauty.interactions
    last_moment = day_number(LAST_DAY) * MICROS_PER_DAY
    steps_U = np.bincount(interactions.user_N, minlength=interactions.users)
    first_A = np.searchsorted(beauty.item_A, np.arange(interactions.items + 1))
    attributes_E = np.diff(first_A)[interactions.item_N]
    event_M = np.repeat(np.arange(len(interactions.item_N)), attributes_E)
    place_M = np.arange(len(event_M)) - np.repeat(np.cumsum(attributes_E) - attributes_E, attributes_E)
    user_id_U = _padded(np.arange(interactions.users))
    session_id_S = user_id_U[interactions.user_N] + np.array(":", object) + _padded(interactions.at_N)
    return History(
        user_id_U=user_id_U,
        event_count_U=steps_U,
        last_event_at_U=np.full(interactions.users, last_moment),
        is_cut_short_U=np.zeros(interactions.users, dtype=bool),
        user_E=interactions.user_N,
        at_E=last_moment - interactions.events_after_N() * MICROS_PER_DAY,
        weight_E=np.ones(len(interactions.item_N)),
        item_E=interactions.item_N + 1,
        session_E=np.arange(len(interactions.item_N)),
        action_E=np.zeros(len(interactions.item_N), dtype=np.int64),
        event_M=event_M,
        tag_M=beauty.attribute_A[first_A[interactions.item_N[event_M]] + place_M],
        tag_T=beauty.attribute_names,
        session_id_S=session_id_S,
        action_A=np.array(["view"], object),
    )


def _padded(numbers: Ints) -> Texts:
    """Return texts that sort like the numbers."""
    width = len(str(numbers.max(initial=0)))
    return np.array([f"{number:0{width}}" for number in numbers], object)
