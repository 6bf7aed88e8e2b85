"""Columns are declared in `sql/ddl`; these tests compare every other declaration of them with it.

A score of a model differs from it only in its items, on purpose.
"""

import pyarrow as pa
import pytest

import model.data.days
import pipeline.settings
from model.data.cutoffs import min_days
from model.data.profiles import PROFILES
from model.data.sequences import SEQUENCES
from pipeline.analyst.ddl import declared_columns, parse_ddl
from pipeline.demo.demo import training_days
from pipeline.landing.formats import LINES
from pipeline.transforms.canonical import TYPES
from pipeline.transforms.parse import SCHEMA
from pipeline.transforms.profiles import SCORES
from pipeline.transforms.sessions import LISTED_COLUMNS

# The columns of provenance that the pipeline adds to a score.
ADDED_BY_THE_PIPELINE = ["run_id", "input_snapshots", "code_version", "config_hash"]


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type with `large_` types as plain ones, and lists by the types of their elements only."""
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(plain(kind.value_type))
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, plain(field.type)) for field in kind])
    return kind


def columns_of(schema: pa.Schema) -> dict[str, pa.DataType]:
    return {field.name: plain(field.type) for field in schema}


def declared(table: str) -> dict[str, pa.DataType]:
    return {column.name: plain(column.type) for column in declared_columns(table)}


def scores() -> dict[str, pa.DataType]:
    """Return the columns that the pipeline reads of a score; its DDL as `pipeline/analyst/ddl.py` parses it."""
    return {column.name: plain(column.type) for column in parse_ddl(f"CREATE TABLE scores ({SCORES})")}


def test_model_and_pipeline_agree_on_the_columns_of_a_score() -> None:
    assert list(columns_of(PROFILES).items()) == list(scores().items())


def test_the_ddl_of_scores_is_parsed_as_spark_parses_it(spark) -> None:
    assert spark_columns(SCORES) == scores()


def test_a_score_becomes_a_row_of_profiles() -> None:
    found, wanted = columns_of(PROFILES), declared("profiles")
    assert set(wanted) - set(found) == set(ADDED_BY_THE_PIPELINE)
    assert set(found) <= set(wanted)
    differing = {name for name in found if found[name] != wanted[name]}
    assert differing == {"top_items"}
    text = pa.string()
    same = [("score", pa.float64()), ("reason", text), ("reason_tag", text)]
    assert found["top_items"] == pa.list_(pa.struct([("item", pa.int64()), *same, ("reason_item", pa.int64())]))
    assert wanted["top_items"] == pa.list_(
        pa.struct([("item_id", text), ("title", text), *same, ("reason_item_id", text)])
    )


def test_both_sides_agree_on_the_horizon() -> None:
    """The pipeline chooses a horizon for a log, and the model refuses a log that is too short for it."""
    assert pipeline.settings.HORIZON_DAYS == model.data.days.HORIZON_DAYS
    horizon = pipeline.settings.Settings.model_fields["horizon_days"]
    assert [limit.le for limit in horizon.metadata if hasattr(limit, "le")] == [model.data.days.MAX_HORIZON_DAYS]
    for horizon_days in range(1, 29):
        assert training_days(horizon_days) == min_days(horizon_days)


def test_the_model_reads_sequences_as_they_are_declared() -> None:
    assert list(columns_of(SEQUENCES).items()) == list(declared("sequences").items())


@pytest.mark.parametrize("table", ["sequences", "profiles"])
def test_columns_that_both_sides_share_are_required(table: str) -> None:
    assert [column.name for column in declared_columns(table) if not column.is_required] == []


def spark_columns(ddl: str) -> dict[str, pa.DataType]:
    """Return the columns of a Spark DDL. Needs a running session."""
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    return columns_of(to_arrow_schema(StructType.fromDDL(ddl)))


def test_landed_lines_are_read_with_the_schema_that_they_are_written_with(spark) -> None:
    assert spark_columns(SCHEMA) == columns_of(LINES)


def test_canonical_columns_have_the_types_of_events(spark) -> None:
    canonical = spark_columns(", ".join(f"{name} {kind}" for name, kind in TYPES.items()))
    events = declared("events")
    assert set(canonical) - set(events) == {"user_agent", "ip", "session_id"}  # dropped after cleaning
    assert {name: kind for name, kind in canonical.items() if name in events and kind != events[name]} == {}


def test_sessions_list_columns_of_events() -> None:
    listed = declared("sessions")["events"].value_type
    assert tuple(field.name for field in listed) == LISTED_COLUMNS
    events = declared("events")
    assert {field.name: field.type for field in listed} == {name: events[name] for name in LISTED_COLUMNS}
