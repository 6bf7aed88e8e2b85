"""Turns histories into the tokens that the encoder reads.

`Vocabulary` holds the names that a model knows: items, tags and actions. `tokenize` lists the tokens of each user: for
each session a start token, its events, and an end token. `token_batch` pads the tokens of some users into tensors.
Padding is on the right, so causal attention needs no padding mask.

Shape letters: N tokens (of one user together, in order) or names, U users, B users of a batch, E events, M touches,
S sessions of all users (oldest first per user), L tokens of a user, G tags of a token, F numbers of a token, C cutoffs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.data.arrays import AnyArray, Floats, Ints, Texts
from model.data.history import NO_ITEM, History

UNKNOWN = 0  # the code of a name that is not in the vocabulary
PADDING, EVENT, START, END = range(4)  # kinds of tokens
KINDS = 4
MICROS_PER_SECOND = 1_000_000
SECONDS_PER_DAY, DAYS_PER_WEEK, THURSDAY = 86_400, 7, 3  # 1970-01-01 was a Thursday; Monday is day 0
MAX_TAGS_PER_EVENT = 8  # further tags of an event are dropped
NUMBERS = (
    "log_gap",  # event: seconds since the previous event of the session; start: seconds since the previous session
    "log_events",  # end: events of the session
    "log_duration",  # end: seconds from the first event of the session to its last
    "sin_hour", "cos_hour", "sin_weekday", "cos_weekday",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Sorted names of items, tags and actions at the end of training. The code of a name is its index plus 1."""

    items: Ints
    tags: Texts
    actions: Texts

    @classmethod
    def of(cls, history: History) -> "Vocabulary":
        """Return the items, tags and actions that occur in a history."""
        return cls(
            items=np.unique(history.item_E[history.item_E != NO_ITEM]),
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
    def from_json(cls, saved: Mapping[str, Any]) -> "Vocabulary":
        return cls(
            np.array(saved["items"], dtype=np.int64),
            np.array(saved["tags"], dtype=object),
            np.array(saved["actions"], dtype=object),
        )


def _codes(names: AnyArray, name_N: AnyArray) -> Ints:
    if not len(names):
        return np.zeros(len(name_N), dtype=np.int64)
    index_N = np.minimum(np.searchsorted(names, name_N), len(names) - 1)
    return np.where(names[index_N] == name_N, index_N + 1, UNKNOWN).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of some users. No token depends on anything that happened after it."""

    users: int
    user_N: Ints
    kind_N: Ints
    item_N: Ints  # code, 0 for none or unknown
    action_N: Ints  # code
    tag_NG: Ints  # codes, 0 for none or unknown
    at_N: Ints  # moment in microseconds
    session_N: Ints  # 0, 1, ... within the user, oldest first
    position_N: Ints  # within the session: 0 for the start token, 1 for the first event
    number_NF: Floats  # columns as in NUMBERS
    session_id_N: Texts  # as in the source, for evidence and export

    def lengths_U(self, max_tokens: int) -> Ints:
        """Return the number of tokens of each user, at most `max_tokens`."""
        return np.minimum(np.bincount(self.user_N, minlength=self.users), max_tokens)


def tokenize(history: History, vocabulary: Vocabulary, has_session_tokens: bool = True) -> Tokens:
    """Return the tokens of every user, in the order of the history.

    The end token describes the session up to the last event in the history, so a session that goes on after the cutoff
    ends at the cutoff.
    """
    session_E, first_S, last_S = _sessions(history)
    event_N, kind_N, session_N = _order(session_E, first_S, last_S, has_session_tokens)
    user_S = history.user_E[first_S]
    first_session_U = np.searchsorted(user_S, np.arange(history.users))
    is_event_N = kind_N == EVENT
    return Tokens(
        users=history.users,
        user_N=user_S[session_N],
        kind_N=kind_N,
        item_N=np.where(is_event_N, vocabulary.item_codes(history.item_E)[event_N], 0),
        action_N=np.where(is_event_N, vocabulary.action_codes(history.action_A)[history.action_E][event_N], 0),
        tag_NG=np.where(is_event_N[:, None], _tags_EG(history, vocabulary)[event_N], 0),
        at_N=history.at_E[event_N],
        session_N=session_N - first_session_U[user_S[session_N]],
        position_N=event_N - first_S[session_N] + (kind_N != START) + (kind_N == END),
        number_NF=_numbers_NF(history, kind_N, event_N, session_N, first_S, last_S, user_S),
        session_id_N=history.session_id_S[history.session_E[event_N]],
    )


def _sessions(history: History) -> tuple[Ints, Ints, Ints]:
    """Return the session of each event, numbered over all users, and the first and last event of each session."""
    is_first_E = np.ones(len(history.user_E), dtype=bool)
    is_first_E[1:] = (np.diff(history.user_E) != 0) | (np.diff(history.session_E) != 0)
    first_S = np.flatnonzero(is_first_E)
    return np.cumsum(is_first_E) - 1, first_S, np.append(first_S[1:], len(is_first_E)) - 1


def _order(session_E: Ints, first_S: Ints, last_S: Ints, has_session_tokens: bool) -> tuple[Ints, Ints, Ints]:
    """Return for each token its event, its kind and its session. A start or end token has the first or last event."""
    events = np.arange(len(session_E))
    event = np.concatenate([first_S, events, last_S]) if has_session_tokens else events
    kind = (
        np.repeat([START, EVENT, END], [len(first_S), len(events), len(last_S)])
        if has_session_tokens
        else np.full(len(events), EVENT)
    )
    rank = np.array([0, 1, 0, 2])[kind]  # the start token comes before the events of its session, the end token after
    order_N = np.lexsort((event, rank, session_E[event])) if len(event) else np.empty(0, np.int64)
    return event[order_N], kind[order_N], session_E[event[order_N]]


def _tags_EG(history: History, vocabulary: Vocabulary) -> Ints:
    code_M = vocabulary.tag_codes(history.tag_T)[history.tag_M]
    order_M = np.argsort(history.event_M, kind="stable")
    event, code = history.event_M[order_M], code_M[order_M]
    nth = np.arange(len(event)) - np.searchsorted(event, event)
    most = int(min(nth.max(initial=0) + 1, MAX_TAGS_PER_EVENT))
    tag_EG = np.zeros((len(history.user_E), most), dtype=np.int64)
    is_kept = nth < most
    tag_EG[event[is_kept], nth[is_kept]] = code[is_kept]
    return tag_EG


def _numbers_NF(
    history: History, kind_N: Ints, event_N: Ints, session_N: Ints, first_S: Ints, last_S: Ints, user_S: Ints
) -> Floats:
    at_E = history.at_E / MICROS_PER_SECOND
    since_previous_E = np.diff(at_E, prepend=at_E[:1])
    since_previous_E[first_S] = 0.0
    has_previous_S = np.zeros(len(first_S), dtype=bool)
    has_previous_S[1:] = user_S[1:] == user_S[:-1]
    between_S = np.zeros(len(first_S))
    between_S[1:] = at_E[first_S[1:]] - at_E[last_S[:-1]]
    between_S = np.where(has_previous_S, between_S, 0.0)
    events_S, duration_S = last_S - first_S + 1, at_E[last_S] - at_E[first_S]
    is_end_N = kind_N == END
    gap_N = np.select([kind_N == EVENT, kind_N == START], [since_previous_E[event_N], between_S[session_N]], 0.0)
    second_N = at_E[event_N]
    hour_N = 2 * np.pi * (second_N % SECONDS_PER_DAY) / SECONDS_PER_DAY
    weekday_N = 2 * np.pi * ((second_N // SECONDS_PER_DAY + THURSDAY) % DAYS_PER_WEEK) / DAYS_PER_WEEK
    columns: list[AnyArray] = [
        np.log1p(np.maximum(gap_N, 0.0)),
        np.where(is_end_N, np.log1p(events_S[session_N]), 0.0),
        np.where(is_end_N, np.log1p(duration_S[session_N]), 0.0),
        *(wave(angle_N) for angle_N in (hour_N, weekday_N) for wave in (np.sin, np.cos)),
    ]
    return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """The tokens of some users as tensors, and the cutoffs at which to predict."""

    kind_BL: Tensor
    item_BL: Tensor
    action_BL: Tensor
    tag_BLG: Tensor
    at_BL: Tensor  # moment; padding repeats the last token
    session_BL: Tensor
    position_BL: Tensor
    number_BLF: Tensor
    cutoff_BC: Tensor  # moments; a prediction uses the events before its cutoff, none at it or later


def token_batch(tokens: Tokens, user_B: Ints, cutoffs_of_users: Sequence[Sequence[int]], max_tokens: int) -> TokenBatch:
    """Return the newest `max_tokens` tokens and the cutoffs of each user.

    cutoffs_of_users: the moments of each user of the batch, equally many for all.
    Raises ValueError if a user has no token.
    """
    start_U = np.searchsorted(tokens.user_N, np.arange(tokens.users + 1))
    length_B = np.minimum(start_U[user_B + 1] - start_U[user_B], max_tokens)
    if not len(user_B) or not length_B.all():
        empty = user_B[length_B == 0].tolist()
        raise ValueError(
            f"users {empty} of {len(user_B)} have no tokens: expected at least one event before the cutoff of each user"
        )
    index_L = np.arange(length_B.max())
    token_BL = (start_U[user_B + 1] - length_B)[:, None] + np.minimum(index_L, length_B[:, None] - 1)
    is_padding_BL = index_L >= length_B[:, None]

    def padded(value_N: AnyArray, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.from_numpy(value_N[token_BL]).to(dtype)

    return TokenBatch(
        kind_BL=padded(tokens.kind_N).masked_fill(torch.from_numpy(is_padding_BL), PADDING),
        item_BL=padded(tokens.item_N),
        action_BL=padded(tokens.action_N),
        tag_BLG=padded(tokens.tag_NG),
        at_BL=padded(tokens.at_N),
        session_BL=padded(tokens.session_N),
        position_BL=padded(tokens.position_N),
        number_BLF=padded(tokens.number_NF, torch.float32),
        cutoff_BC=torch.tensor(np.asarray(cutoffs_of_users), dtype=torch.long),
    )
