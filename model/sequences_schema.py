"""The columns of `interest.sequences` as this package reads them; sql/ddl/sequences.sql declares them for Spark."""

import pyarrow as pa

from model.errors import InputError

UTC_MOMENT = pa.timestamp("us", tz="UTC")

# The `large_` types, as PyIceberg gives them: one array may then hold more than 2 GiB of session ids.
SEQUENCES = pa.schema(
    [
        ("user_id", pa.large_string()),
        ("as_of", pa.date32()),
        ("item", pa.large_list(pa.int64())),
        ("tags", pa.large_list(pa.large_list(pa.large_string()))),
        ("action", pa.large_list(pa.large_string())),
        ("weight", pa.large_list(pa.float64())),
        ("event_at", pa.large_list(UTC_MOMENT)),
        ("session_id", pa.large_list(pa.large_string())),
        ("event_count", pa.int64()),
        ("first_event_at", UTC_MOMENT),
        ("last_event_at", UTC_MOMENT),
    ]
)


def sequences_with(columns: tuple[str, ...]) -> pa.Schema:
    return pa.schema([SEQUENCES.field(column) for column in columns])


def require_sequences(found: pa.Schema, wanted: pa.Schema) -> None:
    """Raise InputError if `found` lacks a column of `wanted` or has one of a type that cannot become the wanted one."""
    missing = [name for name in wanted.names if name not in found.names]
    if missing:
        raise InputError(
            f"interest.sequences lacks {', '.join(missing)}: found {', '.join(found.names)}; the table is of "
            f"another version of this software: see CHANGELOG.md"
        )
    for field in wanted:
        try:
            pa.array([], found.field(field.name).type).cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(
                f"interest.sequences.{field.name} is {found.field(field.name).type}, expected {field.type}: "
                f"the table is of another version of this software: see CHANGELOG.md"
            ) from None
