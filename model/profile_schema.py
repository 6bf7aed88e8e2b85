"""The columns that every model writes (sql/ddl/profiles.sql says what they mean). No value is ever null."""

import pyarrow as pa

from model.sequences_schema import UTC_MOMENT

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
TOP_ITEM = pa.struct([("item", pa.int64()), ("score", pa.float64())])

PROFILES = pa.schema(
    [
        ("user_id", pa.string()),
        ("as_of", pa.date32()),
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
