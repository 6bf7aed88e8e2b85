"""Taobao UserBehavior: one line a behaviour, no header: user, item, category, behaviour, seconds since the epoch.

The tag of an event is its category. Weights are those of pipeline/sources/taobao.toml.

Shape letters: see model/data/history.py; L lines of the file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from pyarrow.csv import ConvertOptions, InvalidRow, ParseOptions, ReadOptions

from model.data.arrays import Ints, Texts
from model.data.history import History
from model.errors import InputError
from tests.bench.public_sets.files import TAOBAO, public_file

FILE = "UserBehavior.csv"
COLUMNS = {"user": pa.string(), "item": pa.int64(), "category": pa.string(), "behaviour": pa.string(),
           "second": pa.int64()}  # fmt: skip
WEIGHTS = {"pv": 1.0, "fav": 2.0, "cart": 2.0, "buy": 3.0}
EXPECTED = f"expected user,item,category,{'|'.join(WEIGHTS)},seconds since the epoch"
SESSION_GAP_SECONDS = 30 * 60  # a longer one splits; one of exactly this length does not
MICROS_PER_SECOND = 1_000_000


@dataclass(frozen=True, eq=False)
class TaobaoLog:
    """All events, and the number of dropped lines: 1 where the last one is incomplete, else 0."""

    history: History
    broken_lines: int


def read_taobao(folder: Path) -> TaobaoLog:
    """Return the log, users by their ids as text, events of a user by second and then as the file has them.

    folder: that of all public sets.
    Raises InputError if the file is missing, or if a line other than the last is invalid.
    """
    file = public_file(TAOBAO, FILE, folder)
    lines, broken = _whole_lines(file)
    return TaobaoLog(_history_of(lines), broken)


def _whole_lines(file: Path) -> tuple[pa.Table, int]:
    """Return the complete lines, and the number of the others. Only the last may be incomplete."""
    broken: list[InvalidRow] = []

    def note(row: InvalidRow) -> str:
        broken.append(row)
        return "skip"

    try:
        lines = pyarrow.csv.read_csv(
            file,
            ReadOptions(column_names=list(COLUMNS), use_threads=False),  # several threads give no line numbers
            ParseOptions(invalid_row_handler=note),
            ConvertOptions(column_types=COLUMNS, strings_can_be_null=True, null_values=[""]),
        )
    except pa.ArrowInvalid as error:
        raise InputError(f"{file} is no log of behaviours ({error}): {EXPECTED}; get the file again") from error
    for row in broken:
        if row.number != len(lines) + len(broken):
            raise _no_behaviour(file, row.number, row.text)
    is_whole_L = np.isin(lines["behaviour"].to_numpy(), list(WEIGHTS))
    for name in COLUMNS:
        is_whole_L &= np.asarray(lines[name].is_valid())
    at_fault = np.flatnonzero(~is_whole_L)
    last = len(lines) - 1
    if len(at_fault) and (at_fault[0] < last or broken):
        values = lines.slice(at_fault[0], 1).to_pylist()[0].values()
        text = ",".join("" if value is None else str(value) for value in values)
        raise _no_behaviour(file, int(at_fault[0]) + 1, text)
    return lines.filter(pa.array(is_whole_L)), len(broken) + len(at_fault)


def _no_behaviour(file: Path, number: int, text: str) -> InputError:
    return InputError(
        f"{file}, line {number}: {text!r} is no behaviour: {EXPECTED}; only the last line may be incomplete; "
        f"get the file again, or fix the line"
    )


def _history_of(lines: pa.Table) -> History:
    user_id_U, user_L = _coded(lines["user"])
    second_L = lines["second"].to_numpy()
    order = np.lexsort((second_L, user_L))
    user_E, second_E = user_L[order], second_L[order]
    starts_E = np.ones(len(order), dtype=bool)
    starts_E[1:] = (user_E[1:] != user_E[:-1]) | (np.diff(second_E) > SESSION_GAP_SECONDS)
    session_id_S = np.array(
        [f"{user_id_U[user]}:{second}" for user, second in zip(user_E[starts_E], second_E[starts_E], strict=True)],
        object,
    )
    tag_T, tag_L = _coded(lines["category"])
    action_A, action_L = _coded(lines["behaviour"])
    last_E = np.append(user_E[1:] != user_E[:-1], [True] * bool(len(order)))
    weight_A = np.array([WEIGHTS[action] for action in action_A])
    return History(
        user_id_U=user_id_U,
        event_count_U=np.bincount(user_E, minlength=len(user_id_U)),
        last_event_at_U=second_E[last_E] * MICROS_PER_SECOND,
        is_cut_short_U=np.zeros(len(user_id_U), dtype=bool),
        user_E=user_E,
        at_E=second_E * MICROS_PER_SECOND,
        weight_E=weight_A[action_L[order]],
        item_E=lines["item"].to_numpy()[order],
        session_E=np.cumsum(starts_E) - 1,
        action_E=action_L[order],
        event_M=np.arange(len(order)),
        tag_M=tag_L[order],
        tag_T=tag_T,
        session_id_S=session_id_S,
        action_A=action_A,
    )


def _coded(texts: pa.ChunkedArray) -> tuple[Texts, Ints]:
    """Return the sorted distinct texts, and each one's place among them."""
    coded = texts.combine_chunks().dictionary_encode()
    names, place = np.unique(coded.dictionary.to_numpy(zero_copy_only=False).astype(object), return_inverse=True)
    return names, place[np.asarray(coded.indices)]
