"""The parser of `sql/ddl`, which other tests compare schemas with."""

import pyarrow as pa
import pytest

from pipeline.analyst.ddl import Column, declared_columns, parse_ddl


def test_columns_types_and_comments() -> None:
    ddl = """-- One row per (item).
    CREATE TABLE IF NOT EXISTS interest.parcels (
        id STRING NOT NULL COMMENT 'what it is, (in words)',
        parts ARRAY<STRUCT<name: STRING COMMENT 'its name', sizes: ARRAY<INT>>> NOT NULL COMMENT 'parts',
        counts MAP<STRING, BIGINT>
    ) USING iceberg COMMENT 'Parcels'"""
    parts = pa.list_(pa.struct([("name", pa.string()), ("sizes", pa.list_(pa.int32()))]))
    assert list(parse_ddl(ddl)) == [
        Column("id", pa.string(), True, "what it is, (in words)"),
        Column("parts", parts, True, "parts"),
        Column("counts", pa.map_(pa.string(), pa.int64()), False, ""),
    ]


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(ValueError, match="unknown type BLOB: expected ARRAY, MAP, STRUCT or one of STRING"):
        list(parse_ddl("CREATE TABLE t (a BLOB)"))


def test_a_table_that_is_not_declared_has_no_columns() -> None:
    assert declared_columns("nowhere") == ()
