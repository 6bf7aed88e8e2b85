"""The views of `sql/views` in the catalog, where Spark SQL reads them. Each shows what the newest release has."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.analyst.dialects import create_statements, fingerprint_of_views
from pipeline.warehouse.tables import set_property

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VIEWS_PROPERTY = "throughline.views-fingerprint"


def create_views(spark: "SparkSession", properties: Mapping[str, str], min_audience: int) -> None:
    """Create the views, or replace them where their SQL or the setting min_audience changed since. Call it on main.

    properties: those of the table of events, which keep the fingerprint of the views, so that a night without a change
    sends nothing. If the catalog keeps no views, one line says so, and the night goes on.
    """
    from pyspark.errors import PySparkException

    fingerprint = fingerprint_of_views(min_audience)
    if properties.get(VIEWS_PROPERTY) == fingerprint:
        return
    try:
        for statement in create_statements("spark", min_audience).values():
            spark.sql(statement)
    except PySparkException as error:
        print(
            f"warning: the catalog took no views for Spark SQL: {str(error).splitlines()[0]}. "
            f"`throughline views --dialect spark` prints them; `throughline query` needs none",
            flush=True,
        )
    else:
        set_property(spark, VIEWS_PROPERTY, fingerprint)
