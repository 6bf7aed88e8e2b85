"""The profiles table: scores laid out as its rows, and which models scored earlier days.

Every model writes the same columns. No value is ever null, but those of a reason that has none. sql/ddl/profiles.sql
explains the columns. Shape letters: those of `model/counts/publish.py`.
"""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from model.data.arrays import Ints
from model.data.days import DAYS_SEEN, HORIZON_DAYS, UTC_MOMENT, partition_day
from model.data.history import NO_ITEM, History
from model.data.scores import Scores

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

TABLE = ("interest", "profiles")
INTEREST = pa.struct(
    [
        ("tag", pa.string()),
        ("affinity", pa.float64()),
        ("rank", pa.int32()),
        ("trend", pa.float64()),
        ("is_new", pa.bool_()),
        ("evidence", pa.list_(pa.string())),
    ]
)
TOP_ITEM = pa.struct(
    [
        ("item", pa.int64()),
        ("score", pa.float64()),
        ("reason", pa.string()),
        ("reason_tag", pa.string()),
        ("reason_item", pa.int64()),
    ]
)

PROFILES = pa.schema(
    [
        ("user_id", pa.string()),
        ("as_of", pa.date32()),
        ("horizon_days", pa.int32()),
        ("interests", pa.list_(INTEREST)),
        ("top_items", pa.list_(TOP_ITEM)),
        ("return_probability", pa.float64()),
        ("embedding", pa.list_(pa.float32())),
        ("event_count", pa.int64()),
        ("session_count", pa.int32()),
        ("last_event_at", UTC_MOMENT),
        ("cohort", pa.string()),
        ("model_version", pa.string()),
        ("scored_at", UTC_MOMENT),
    ]
)


def models_of_day_before(catalog: "Catalog", branch: str, day: date) -> frozenset[str]:
    """Return the versions that scored the newest day before `day`; none if no profile of the 90 days before is there.

    The table is read at the head of `branch` if it has that ref, else of main.
    """
    # PyIceberg reads its settings on import, and not all who lay out rows need it.
    from pyiceberg.exceptions import NoSuchTableError

    try:
        table = catalog.load_table(TABLE)
    except NoSuchTableError:
        return frozenset()
    head = table.snapshot_by_name(branch) or table.snapshot_by_name("main")
    if head is None:
        return frozenset()
    before = f"as_of >= '{day - timedelta(days=DAYS_SEEN)}' and as_of < '{day}'"
    files = table.scan(row_filter=before, snapshot_id=head.snapshot_id).plan_files()
    newest = max((partition_day(one.file.partition[0]) for one in files), default=None)
    if newest is None:
        return frozenset()
    rows = table.scan(f"as_of = '{newest}'", selected_fields=("model_version",), snapshot_id=head.snapshot_id)
    return frozenset(rows.to_arrow()["model_version"].to_pylist())


def profiles_of(
    history: History,
    scores: Scores,
    as_of: date,
    model_version: str,
    scored_at: datetime,
    horizon_days: int = HORIZON_DAYS,
) -> pa.Table:
    """Return one row per user of `history`, with the columns and types of PROFILES."""
    session_counts_U = history.session_counts_U()
    columns = {
        "user_id": pa.array(history.user_id_U, pa.string()),
        "as_of": _same(as_of, pa.date32(), history.users),
        "horizon_days": _same(horizon_days, pa.int32(), history.users),
        "interests": _lists(scores.user_R, history.users, _interests(scores, history.users)),
        "top_items": _lists(scores.user_K, history.users, _top_items(scores)),
        "return_probability": pa.array(scores.return_probability_U),
        "embedding": _embeddings(scores),
        "event_count": pa.array(history.event_count_U),
        "session_count": pa.array(session_counts_U, pa.int32()),
        "last_event_at": pa.array(history.last_event_at_U).cast(UTC_MOMENT),
        "cohort": pa.array(cohorts(session_counts_U), pa.string()),
        "model_version": _same(model_version, pa.string(), history.users),
        "scored_at": _same(scored_at, UTC_MOMENT, history.users),
    }
    return pa.table(columns, schema=PROFILES)


def cohorts(session_counts_U: Ints) -> list[str]:
    """Return each user's cohort by number of sessions: 1, 2-4, 5-9 or 10+."""
    names = np.array(["1", "2-4", "5-9", "10+"])
    chosen: list[str] = names[np.searchsorted([2, 5, 10], session_counts_U, side="right")].tolist()
    return chosen


def _interests(scores: Scores, users: int) -> pa.Array:
    first_of_user_U = np.searchsorted(scores.user_R, np.arange(users))
    rank_R = np.arange(len(scores.user_R)) - first_of_user_U[scores.user_R] + 1
    evidence_ends_R = np.cumsum(scores.evidence_count_R)
    evidence_offsets = pa.array(np.concatenate([[0], evidence_ends_R]), pa.int32())
    return _structs(
        INTEREST,
        tag=scores.tag_R,
        affinity=scores.affinity_R,
        rank=rank_R,
        trend=scores.trend_R,
        is_new=scores.is_new_R,
        evidence=pa.ListArray.from_arrays(evidence_offsets, pa.array(scores.session_id_V, pa.string())),
    )


def _top_items(scores: Scores) -> pa.Array:
    reasons = scores.reasons
    return _structs(
        TOP_ITEM,
        item=scores.item_K,
        score=scores.score_K,
        reason=reasons.kind_K,
        reason_tag=reasons.tag_K,
        reason_item=pa.array(reasons.item_K, pa.int64(), mask=reasons.item_K == NO_ITEM),
    )


def _structs(type_: pa.StructType, **children: object) -> pa.Array:
    arrays = [
        child if isinstance(child, pa.Array) else pa.array(child, type_.field(name).type)
        for name, child in children.items()
    ]
    return pa.StructArray.from_arrays(arrays, fields=[type_.field(name) for name in children])


def _lists(user_N: Ints, users: int, values_N: pa.Array) -> pa.Array:
    """Gather values that stand by user into one list a user."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user_N, minlength=users))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values_N)


def _embeddings(scores: Scores) -> pa.Array:
    users, dimensions = scores.embedding_UD.shape
    offsets = pa.array(np.arange(users + 1) * dimensions, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(scores.embedding_UD.ravel(), pa.float32()))


def _same(value: object, type_: pa.DataType, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, type_), rows)
