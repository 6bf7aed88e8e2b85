"""What a checkpoint knows by name: items, tags, actions. Code 0 is whatever it does not know.

Shape letters: N things.

Lays out a history as the tokens that the encoder reads: start, events, end of each session, one after the other.

Shape letters: U users, E events, M touches, S sessions (of users, oldest first), N tokens (a user's together, in
order), G tags of one token, F numbers of one token.

Users side by side as tensors, padded on the right, so that the causal mask is the only mask that hides tokens.

Shape letters: B users, L tokens, G tags of a token, F numbers of a token, C cuts of a user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.data.arrays import AnyArray, Floats, Ints, Texts
from model.data.history import NO_ITEM, History

UNKNOWN = 0


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Sorted names; the code of a name is its place plus 1. Made from what was known when training ended."""

    items: Ints
    tags: Texts
    actions: Texts

    @classmethod
    def of(cls, history: History, fewest_events_of_item: int = 1) -> "Vocabulary":
        """Take the tags and actions of a history, and the items that occur in `fewest_events_of_item` events."""
        items, events = np.unique(history.item_E[history.item_E != NO_ITEM], return_counts=True)
        return cls(
            items=items[events >= fewest_events_of_item],
            tags=history.tag_T[np.unique(history.tag_M)],
            actions=np.unique(history.action_A[np.unique(history.action_E)].astype(str)).astype(object),
        )

    def item_codes(self, item_N: Ints) -> Ints:
        return _codes(self.items, item_N)

    def tag_codes(self, tag_N: Texts) -> Ints:
        return _codes(self.tags, tag_N)

    def action_codes(self, action_N: Texts) -> Ints:
        return _codes(self.actions, action_N)

    def as_json(self) -> dict[str, Any]:
        return {"items": self.items.tolist(), "tags": self.tags.tolist(), "actions": self.actions.tolist()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Vocabulary":
        return cls(
            np.array(told["items"], dtype=np.int64),
            np.array(told["tags"], dtype=object),
            np.array(told["actions"], dtype=object),
        )


def _codes(known: AnyArray, name_N: AnyArray) -> Ints:
    if not len(known):
        return np.zeros(len(name_N), dtype=np.int64)
    place_N = np.minimum(np.searchsorted(known, name_N), len(known) - 1)
    return np.where(known[place_N] == name_N, place_N + 1, UNKNOWN).astype(np.int64)


PADDING, EVENT, START, END = range(4)
KINDS = 4
SECONDS = 1_000_000  # in microseconds
DAY_SECONDS, WEEK_DAYS, THURSDAY = 86_400, 7, 3  # 1970-01-01 was a Thursday; a week begins on Monday here
MOST_TAGS = 8  # of an event; further ones are not read
NUMBERS = (
    "log_gap",  # event: seconds since the event before in its session; start: since the session before ended
    "log_events",  # end: events of the session
    "log_duration",  # end: seconds from its first event to its last
    "sin_hour", "cos_hour", "sin_weekday", "cos_weekday",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of some users. Nothing of a token is told by anything that came after it."""

    users: int
    user_N: Ints
    kind_N: Ints
    item_N: Ints  # code, 0 for none or unknown
    action_N: Ints  # code
    tag_NG: Ints  # codes, 0 for none or unknown
    at_N: Ints  # moment
    session_N: Ints  # 0, 1, ... within the user, oldest first
    place_N: Ints  # within the session: 0 for its start, 1 for its first event
    number_NF: Floats  # as NUMBERS
    session_id_N: Texts  # of the source, for evidence and export


def layout(history: History, vocabulary: Vocabulary, has_session_tokens: bool = True) -> Tokens:
    """Return the tokens of every user, in the order of the history.

    An end token tells of the session as far as the history holds it: a session that the as-of cuts ends there.
    """
    session_E, first_S, last_S = _sessions(history)
    event_N, kind_N, session_N = _order(session_E, first_S, last_S, has_session_tokens)
    user_S = history.user_E[first_S]
    begun_U = np.searchsorted(user_S, np.arange(history.users))
    is_event_N = kind_N == EVENT
    at_N = history.at_E[event_N]
    place_N = event_N - first_S[session_N] + (kind_N != START) + (kind_N == END)
    return Tokens(
        users=history.users,
        user_N=user_S[session_N],
        kind_N=kind_N,
        item_N=np.where(is_event_N, vocabulary.item_codes(history.item_E)[event_N], 0),
        action_N=np.where(is_event_N, vocabulary.action_codes(history.action_A)[history.action_E][event_N], 0),
        tag_NG=np.where(is_event_N[:, None], _tags_EG(history, vocabulary)[event_N], 0),
        at_N=at_N,
        session_N=session_N - begun_U[user_S[session_N]],
        place_N=place_N,
        number_NF=_numbers_NF(history, kind_N, event_N, session_N, first_S, last_S, user_S),
        session_id_N=history.session_id_S[history.session_E[event_N]],
    )


def _sessions(history: History) -> tuple[Ints, Ints, Ints]:
    """Return the session of each event, counted over all users, and the first and last event of each session."""
    is_first_E = np.ones(len(history.user_E), dtype=bool)
    is_first_E[1:] = (np.diff(history.user_E) != 0) | (np.diff(history.session_E) != 0)
    first_S = np.flatnonzero(is_first_E)
    return np.cumsum(is_first_E) - 1, first_S, np.append(first_S[1:], len(is_first_E)) - 1


def _order(session_E: Ints, first_S: Ints, last_S: Ints, has_session_tokens: bool) -> tuple[Ints, Ints, Ints]:
    """Return for each token the event that it is or stands beside, its kind, and its session over all users."""
    events = np.arange(len(session_E))
    event = np.concatenate([first_S, events, last_S]) if has_session_tokens else events
    kind = (
        np.repeat([START, EVENT, END], [len(first_S), len(events), len(last_S)])
        if has_session_tokens
        else np.full(len(events), EVENT)
    )
    rank = np.array([0, 1, 0, 2])[kind]  # a session's start stands before its events, its end after
    order_N = np.lexsort((event, rank, session_E[event])) if len(event) else np.empty(0, np.int64)
    return event[order_N], kind[order_N], session_E[event[order_N]]


def _tags_EG(history: History, vocabulary: Vocabulary) -> Ints:
    code_M = vocabulary.tag_codes(history.tag_T)[history.tag_M]
    order_M = np.argsort(history.event_M, kind="stable")
    event, code = history.event_M[order_M], code_M[order_M]
    nth = np.arange(len(event)) - np.searchsorted(event, event)
    most = int(min(nth.max(initial=0) + 1, MOST_TAGS))
    tag_EG = np.zeros((len(history.user_E), most), dtype=np.int64)
    is_read = nth < most
    tag_EG[event[is_read], nth[is_read]] = code[is_read]
    return tag_EG


def _numbers_NF(
    history: History, kind_N: Ints, event_N: Ints, session_N: Ints, first_S: Ints, last_S: Ints, user_S: Ints
) -> Floats:
    at_E = history.at_E / SECONDS
    since_last_E = np.diff(at_E, prepend=at_E[:1])
    since_last_E[first_S] = 0.0
    is_later_S = np.zeros(len(first_S), dtype=bool)
    is_later_S[1:] = user_S[1:] == user_S[:-1]
    between_S = np.zeros(len(first_S))
    between_S[1:] = at_E[first_S[1:]] - at_E[last_S[:-1]]
    between_S = np.where(is_later_S, between_S, 0.0)
    events_S, duration_S = last_S - first_S + 1, at_E[last_S] - at_E[first_S]
    is_end_N = kind_N == END
    gap_N = np.select([kind_N == EVENT, kind_N == START], [since_last_E[event_N], between_S[session_N]], 0.0)
    second_N = at_E[event_N]
    hour_N = 2 * np.pi * (second_N % DAY_SECONDS) / DAY_SECONDS
    weekday_N = 2 * np.pi * ((second_N // DAY_SECONDS + THURSDAY) % WEEK_DAYS) / WEEK_DAYS
    columns: list[AnyArray] = [
        np.log1p(np.maximum(gap_N, 0.0)),
        np.where(is_end_N, np.log1p(events_S[session_N]), 0.0),
        np.where(is_end_N, np.log1p(duration_S[session_N]), 0.0),
        *(wave(angle_N) for angle_N in (hour_N, weekday_N) for wave in (np.sin, np.cos)),
    ]
    return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """What the network reads of some users."""

    kind_BL: Tensor
    item_BL: Tensor
    action_BL: Tensor
    tag_BLG: Tensor
    at_BL: Tensor  # moment; padding stands at the moment of the last token
    session_BL: Tensor
    place_BL: Tensor
    number_BLF: Tensor
    cutoff_BC: Tensor  # moments at which interests are asked for: events before it count, none at it or later


def token_batch(tokens: Tokens, user_B: Ints, cuts_of_users: Sequence[Sequence[int]], most_tokens: int) -> TokenBatch:
    """Return the newest `most_tokens` tokens of each user, and the moments at which each is asked about.

    cuts_of_users: for each user of the batch as many moments as for the others.
    Raises ValueError if a user has no token.
    """
    start_U = np.searchsorted(tokens.user_N, np.arange(tokens.users + 1))
    length_B = np.minimum(start_U[user_B + 1] - start_U[user_B], most_tokens)
    if not len(user_B) or not length_B.all():
        empty = user_B[length_B == 0].tolist()
        raise ValueError(f"nothing to read of users {empty} of {len(user_B)}: expected one event before the cut each")
    place_L = np.arange(length_B.max())
    token_BL = (start_U[user_B + 1] - length_B)[:, None] + np.minimum(place_L, length_B[:, None] - 1)
    is_padding_BL = place_L >= length_B[:, None]

    def laid(value_N: AnyArray, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.from_numpy(value_N[token_BL]).to(dtype)

    return TokenBatch(
        kind_BL=laid(tokens.kind_N).masked_fill(torch.from_numpy(is_padding_BL), PADDING),
        item_BL=laid(tokens.item_N),
        action_BL=laid(tokens.action_N),
        tag_BLG=laid(tokens.tag_NG),
        at_BL=laid(tokens.at_N),
        session_BL=laid(tokens.session_N),
        place_BL=laid(tokens.place_N),
        number_BLF=laid(tokens.number_NF, torch.float32),
        cutoff_BC=torch.tensor(np.asarray(cuts_of_users), dtype=torch.long),
    )
