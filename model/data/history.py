"""Sequences of many users as flat arrays, which numpy counts over without a loop, and the decay of events by age.

Shape letters: U users, E events (a user's together, oldest first), M touches (one per event and tag of it),
T tags, S sessions, A actions, X excluded items.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.data.arrays import AnyArray, Bools, Floats, Ints, Texts
from model.data.days import MICROS_PER_DAY
from model.errors import InputError

HISTORY_COLUMNS = (
    "user_id",
    "as_of",
    "item",
    "tags",
    "weight",
    "event_at",
    "session_id",
    "event_count",
    "last_event_at",
    "action",
    "excluded_item",
)
NO_ITEM = 0
LISTS = ("item", "tags", "weight", "event_at", "session_id", "action")


def no_ints() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class History:
    """Events of some users. The arrays per user, and the excluded items, describe the table's row, also after events
    were filtered out."""

    user_id_U: Texts
    event_count_U: Ints
    last_event_at_U: Ints  # moment
    is_cut_short_U: Bools  # the list holds only the newest events
    user_E: Ints
    at_E: Ints  # moment
    weight_E: Floats  # a view is 1
    item_E: Ints
    session_E: Ints  # rises within a user with the session's first event
    action_E: Ints
    event_M: Ints
    tag_M: Ints
    tag_T: Texts  # sorted, so that the order of codes is the order of names
    session_id_S: Texts
    action_A: Texts
    user_X: Ints = field(default_factory=no_ints)
    item_X: Ints = field(default_factory=no_ints)  # left out of the user's top items by a rule of the source

    @property
    def users(self) -> int:
        return len(self.user_id_U)

    def before(self, moment: int) -> "History":
        """Return the same users with only the events before `moment`."""
        return self._with_events(self.at_E < moment)

    def since(self, moment: int) -> "History":
        """Return the same users with only the events at `moment` or later."""
        return self._with_events(self.at_E >= moment)

    def newest_sessions(self, most: int) -> "History":
        """Return the events since the last event of the session that is the `most`-th newest by its last event."""
        last_at_S = np.zeros(len(self.session_id_S), np.int64)
        np.maximum.at(last_at_S, self.session_E, self.at_E)
        return self if len(last_at_S) <= most else self.since(int(np.partition(last_at_S, -most)[-most]))

    def before_for(self, is_limited_U: Bools, moment: int) -> "History":
        """Return the same users, the marked ones with only the events before `moment`."""
        return self._with_events((self.at_E < moment) | ~is_limited_U[self.user_E])

    def of_users(self, is_kept_U: Bools) -> "History":
        new_user_U = np.cumsum(is_kept_U) - 1
        kept = self._with_events(is_kept_U[self.user_E])
        is_kept_X = is_kept_U[self.user_X]
        return replace(
            kept,
            user_id_U=self.user_id_U[is_kept_U],
            event_count_U=self.event_count_U[is_kept_U],
            last_event_at_U=self.last_event_at_U[is_kept_U],
            is_cut_short_U=self.is_cut_short_U[is_kept_U],
            user_E=new_user_U[kept.user_E],
            user_X=new_user_U[self.user_X[is_kept_X]],
            item_X=self.item_X[is_kept_X],
        )

    def with_vocabulary(self, tag_T: Texts) -> "History":
        """Return the same history with codes of the sorted `tag_T`, which has every tag of this one."""
        return replace(self, tag_T=tag_T, tag_M=np.searchsorted(tag_T, self.tag_T)[self.tag_M])

    def event_counts_U(self) -> Ints:
        """Count the listed events."""
        return np.bincount(self.user_E, minlength=self.users)

    def session_counts_U(self) -> Ints:
        """Count the sessions of the listed events."""
        session_user_pairs = np.unique(self.user_E * (len(self.session_id_S) + 1) + self.session_E)
        return np.bincount(session_user_pairs // (len(self.session_id_S) + 1), minlength=self.users)

    def first_listed_at_U(self) -> Ints:
        """Return the moment of each user's oldest listed event; the largest integer where there is none."""
        first_at_U = np.full(self.users, np.iinfo(np.int64).max)
        np.minimum.at(first_at_U, self.user_E, self.at_E)
        return first_at_U

    def days_since_last_event_U(self, moment: int, at_most: float) -> Floats:
        """Return days from the newest listed event to `moment`; `at_most` where it is older or there is none."""
        last_at_U = np.full(self.users, moment - int(at_most * MICROS_PER_DAY))
        np.maximum.at(last_at_U, self.user_E, self.at_E)
        return (moment - last_at_U) / MICROS_PER_DAY

    def _with_events(self, is_kept_E: Bools) -> "History":
        if is_kept_E.all():
            return self
        new_event_E = np.cumsum(is_kept_E) - 1
        is_kept_M = is_kept_E[self.event_M]
        return replace(
            self,
            user_E=self.user_E[is_kept_E],
            at_E=self.at_E[is_kept_E],
            weight_E=self.weight_E[is_kept_E],
            item_E=self.item_E[is_kept_E],
            session_E=self.session_E[is_kept_E],
            action_E=self.action_E[is_kept_E],
            event_M=new_event_E[self.event_M[is_kept_M]],
            tag_M=self.tag_M[is_kept_M],
        )


def history_of(sequences: pa.Table) -> History:
    """Concatenate the lists of all rows, users in the order of their ids.

    sequences: one row per user; needs HISTORY_COLUMNS.
    Raises InputError if the lists of a row are not aligned or hold nulls.
    """
    rows = sequences.sort_by("user_id").combine_chunks()
    lengths_U = _aligned_lengths(rows)
    values = {name: _flat(rows[name]) for name in LISTS}
    tags_of_events = values.pop("tags")
    touched = pc.dictionary_encode(tags_of_events.flatten())
    sessions = pc.dictionary_encode(values["session_id"])
    actions = pc.dictionary_encode(values["action"])
    if touched.null_count or any(flat.null_count for flat in values.values()):
        raise InputError(
            "interest.sequences holds a null inside a list: every event has an item (0 for none), weight, time, "
            "session and action"
        )
    tag_T, code_of_tag = np.unique(_texts(touched.dictionary), return_inverse=True)
    event_count_U = np.asarray(rows["event_count"])
    # Rows of earlier versions have none.
    excluded_U = np.asarray(pc.fill_null(pc.list_value_length(rows["excluded_item"]), 0))
    return History(
        user_id_U=_texts(rows["user_id"]),
        event_count_U=event_count_U,
        last_event_at_U=np.asarray(rows["last_event_at"].cast(pa.int64())),
        is_cut_short_U=event_count_U > lengths_U,
        user_E=np.repeat(np.arange(len(rows)), lengths_U),
        at_E=np.asarray(values["event_at"].cast(pa.int64())),
        weight_E=np.asarray(values["weight"]),
        item_E=np.asarray(values["item"]),
        session_E=np.asarray(sessions.indices.cast(pa.int64())),
        action_E=np.asarray(actions.indices.cast(pa.int64())),
        event_M=np.repeat(np.arange(len(tags_of_events)), np.asarray(pc.list_value_length(tags_of_events))),
        tag_M=code_of_tag[np.asarray(touched.indices)],
        tag_T=tag_T,
        session_id_S=_texts(sessions.dictionary),
        action_A=_texts(actions.dictionary),
        user_X=np.repeat(np.arange(len(rows)), excluded_U),
        item_X=np.asarray(_flat(rows["excluded_item"])),
    )


def _aligned_lengths(rows: pa.Table) -> Ints:
    lengths_U: Ints = np.asarray(pc.fill_null(pc.list_value_length(rows["item"]), -1))
    for name in LISTS:
        if not np.array_equal(lengths_U, np.asarray(pc.fill_null(pc.list_value_length(rows[name]), -1))):
            raise InputError(
                f"interest.sequences: item and {name} differ in length in some row; the lists of a row are aligned, "
                f"position i of each belongs to the i-th event"
            )
    return lengths_U


def _flat(lists: pa.ChunkedArray) -> pa.Array:
    combined = lists.combine_chunks()
    return combined.flatten()


def _texts(strings: pa.Array | pa.ChunkedArray) -> Texts:
    texts: AnyArray = strings.to_numpy(zero_copy_only=False) if isinstance(strings, pa.Array) else strings.to_numpy()
    return texts.astype(object)


def fading_E(history: History, moment: int, half_life_days: float) -> Floats:
    """Return 0.5 to the power of each event's age in half-lives; 1 at `moment`. No event may be later."""
    age_days_E = (moment - history.at_E) / MICROS_PER_DAY
    return np.exp2(-age_days_E / half_life_days)


def decayed_weight_E(history: History, moment: int, half_life_days: float) -> Floats:
    """Return the weight of each event times its fading."""
    return history.weight_E * fading_E(history, moment, half_life_days)
