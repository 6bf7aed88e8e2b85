"""The columns of a TOML's expressions."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from pipeline.sources.expressions import to_sql


def expression(text: str) -> Column:
    """Return the column of an expression of a TOML, in which `epoch(x)` is the time of a number since 1970.

    Raises ExpressionError if a source may not use it.
    """
    return F.expr(to_sql(text))
