"""Frames of few rows that Python has."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def frame_of_rows(spark: SparkSession, rows: Sequence[tuple[Any, ...]], schema: StructType | str) -> DataFrame:
    """Return a frame of rows, whose values are in the order of the columns of a schema or a Spark DDL.

    A time without a zone is one of UTC. `createDataFrame` of a list starts Python workers at each read.
    """
    fields = StructType.fromDDL(schema) if isinstance(schema, str) else schema
    assert isinstance(fields, StructType), schema
    in_arrow = to_arrow_schema(fields)
    columns = [pa.array([row[number] for row in rows], field.type) for number, field in enumerate(in_arrow)]
    frame: DataFrame = spark.createDataFrame(pa.Table.from_arrays(columns, schema=in_arrow), fields)
    return frame
