"""A fingerprint depends on the content of a table, not on the run that wrote it."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from pipeline.analyst.fingerprint import fingerprint

KIND = pa.schema(
    [
        ("user_id", pa.string()),
        ("interests", pa.list_(pa.struct([("tag", pa.string()), ("affinity", pa.float64())]))),
        ("embedding", pa.list_(pa.float32())),
        ("return_probability", pa.float64()),
        ("rows_out", pa.map_(pa.string(), pa.int64())),
        ("last_event_at", pa.timestamp("us", tz="UTC")),
        ("config_hash", pa.string()),
        ("run_id", pa.string()),
        ("scored_at", pa.timestamp("us", tz="UTC")),
        ("file", pa.string()),
    ]
)
ANN: dict[str, Any] = {
    "user_id": "a", "interests": [{"tag": "jazz", "affinity": 0.5}, {"tag": "go", "affinity": 0.25}],
    "embedding": [1.0, -1e-9], "return_probability": 0.3, "rows_out": {"accepted": 1, "rejects": 2},
    "last_event_at": datetime(2026, 1, 1, tzinfo=UTC),
    "config_hash": "c", "run_id": "run-1", "scored_at": datetime(2026, 1, 2, tzinfo=UTC), "file": "log-1",
}  # fmt: skip
BOB = {**ANN, "user_id": "b", "interests": None, "return_probability": float("nan")}


def hashed(*rows: dict[str, Any], name: str = "profiles") -> str:
    return fingerprint(pa.Table.from_pylist(list(rows), schema=KIND), name)


@pytest.mark.parametrize("name", ["profiles", "sessions"])
def test_the_order_of_rows_and_columns_does_not_matter(name: str) -> None:
    assert hashed(ANN, BOB, name=name) == hashed(BOB, ANN, name=name)
    table = pa.Table.from_pylist([ANN, BOB], schema=KIND)
    assert fingerprint(table.select(sorted(table.column_names)), name) == hashed(ANN, BOB, name=name)


def test_the_number_of_equal_rows_matters() -> None:
    assert len({hashed(), hashed(ANN), hashed(ANN, ANN)}) == 3


@pytest.mark.parametrize(
    "change", [{"run_id": "run-2"}, {"scored_at": datetime(2026, 3, 1, tzinfo=UTC)}, {"file": "log-2"},
               {"rows_out": {"rejects": 2, "accepted": 1}}]
)  # fmt: skip
def test_run_clock_and_path_do_not_matter(change: dict[str, Any]) -> None:
    assert hashed({**ANN, **change}) == hashed(ANN)


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "b"},
        {"interests": ANN["interests"][::-1]},
        {"interests": []},
        {"embedding": [1.0]},
        {"rows_out": {"accepted": 1, "rejects": 3}},
        {"last_event_at": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)},
        {"config_hash": "d"},
        {"return_probability": 0.3002},
        {"return_probability": None},
        {"return_probability": float("nan")},
    ],
)
@pytest.mark.parametrize("name", ["profiles", "sessions"])
def test_a_changed_value_matters(change: dict[str, Any], name: str) -> None:
    assert hashed({**ANN, **change}, name=name) != hashed(ANN, name=name)


def test_floats_are_rounded_only_in_profiles() -> None:
    nearly = {**ANN, "return_probability": 0.3 + 1e-9, "embedding": [1.0 + 1e-6, 0.0]}
    assert hashed(nearly, name="profiles") == hashed(ANN, name="profiles")
    assert hashed(nearly, name="sequences") != hashed(ANN, name="sequences")
