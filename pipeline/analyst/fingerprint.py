"""A hash of a table's content. A night that runs again must give the same hash."""

import hashlib

import duckdb
import pyarrow as pa

# Columns that depend on the run, not on the data: run ids and numbers, clock times, snapshot ids, code version, paths.
LEFT_OUT = frozenset(
    {
        "run_id",
        "number",
        "scored_at",
        "published_at",
        "finished_at",
        "seconds",
        "input_snapshots",
        "snapshots",
        "code_version",
        "file",
    }
)
# A model's numbers vary in their last digits with the hardware and the order of addition.
ROUNDED = frozenset({"profiles"})
STEPS_PER_UNIT = 10_000


def fingerprint(table: pa.Table, name: str) -> str:
    """Return the hex SHA-256 of the sorted hashes of a table's rows; `name` is the table's.

    The order of rows and columns does not matter; the order within a list does. Floats must be equal exactly, except in
    profiles, where they are rounded to 1e-4. Two profiles on different sides of a rounding edge get different hashes
    although they are close, so compare the values before you call a replay wrong.
    """
    columns = sorted(field.name for field in table.schema if field.name not in LEFT_OUT)
    values = [_comparable(_quoted(column), table.schema.field(column).type, name in ROUNDED) for column in columns]
    row = ", ".join(f"{_quoted(column)} := {value}" for column, value in zip(columns, values, strict=True))
    digest = hashlib.sha256()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows_to_hash", table)
        hashes = connection.sql(
            f"SELECT sha256(CAST(to_json(struct_pack({row})) AS VARCHAR)) AS h FROM rows_to_hash ORDER BY h"
        )
        for batch in hashes.to_arrow_reader():
            digest.update("".join(batch.column(0).to_pylist()).encode())
    return digest.hexdigest()


def _comparable(value: str, kind: pa.DataType, is_rounded: bool, depth: int = 0) -> str:
    """Return SQL that brings a value into a form whose JSON is equal exactly when the values count as equal."""
    if pa.types.is_floating(kind):
        # Whole steps, not round(): that would keep 0.0 and -0.0 apart. As text, NaN and infinity survive JSON.
        exact = f"CAST({value} AS VARCHAR)"
        steps = f"CAST(TRY_CAST(round({value} * {STEPS_PER_UNIT}) AS BIGINT) AS VARCHAR)"
        return f"coalesce({steps}, {exact})" if is_rounded else exact
    if pa.types.is_map(kind):
        return f"list_sort(map_entries({value}))"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        entry = f"entry_{depth}"
        return f"list_transform({value}, lambda {entry}: {_comparable(entry, kind.value_type, is_rounded, depth + 1)})"
    if pa.types.is_struct(kind):
        fields = [
            f"{_quoted(field.name)} := {_comparable(f'{value}.{_quoted(field.name)}', field.type, is_rounded, depth)}"
            for field in kind
        ]
        return f"struct_pack({', '.join(fields)})"
    return value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
