"""From the text of a line to named fields, by the reader of its source."""

import csv
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline.source import Reader, group_numbers

BROKEN = "__broken"  # filled by Spark with the text of a line that it could not parse
MOST_FIELDS = 20_000
OWN_COLUMNS = ("source", "arrival_day", "file", "line", "text", "header")


def parse_lines(lines: DataFrame, reader: Reader) -> DataFrame:
    """Return the reader's fields, and under `__` the line's own columns and `__problem`: null, or why it is unreadable.

    lines: one row per landed line; needs `text`, and `header` for readers with a header line.
    """
    if reader.format in ("csv", "tsv") and reader.header:
        return _parse_by_header(lines, reader)
    if reader.format in ("csv", "tsv"):
        return _parse_separated(lines, reader, reader.columns)
    if reader.format == "regex":
        return _parse_by_pattern(lines, reader)
    return _parse_json(lines, reader)


def _parse_json(lines: DataFrame, reader: Reader) -> DataFrame:
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": BROKEN}
    fields = F.from_json("text", f"{reader.fields}, {BROKEN} STRING", options)
    # from_json stops after the first object and would lose what follows it; as a list, the whole line is read.
    objects = F.coalesce(F.json_array_length(F.concat(F.lit("["), "text", F.lit("]"))), F.lit(0))
    is_object = F.col("text").rlike(r"^\s*\{") & (objects == 1)
    return _with_fields(lines, fields, is_object, "expected one JSON object with the fields of the TOML")


def _parse_separated(lines: DataFrame, reader: Reader, columns: list[str]) -> DataFrame:
    separator = reader.delimiter
    quoting = {"quote": "", "escape": ""} if reader.format == "tsv" else {"quote": '"', "escape": '"'}
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": BROKEN, "sep": separator, **quoting}
    schema = ", ".join(f"`{column}` STRING" for column in [*columns, BROKEN])
    # Spark's parser ends the job at 20,480 fields, whatever the mode.
    has_few_separators = F.length("text") - F.length(F.replace("text", F.lit(separator))) < MOST_FIELDS * len(separator)
    fields = F.from_csv(F.when(has_few_separators, F.col("text")), F.lit(schema), options)
    return _with_fields(lines, fields, F.lit(True), f"expected {len(columns)} fields: {separator.join(columns)}")


def _parse_by_header(lines: DataFrame, reader: Reader) -> DataFrame:
    """Parse each line by the header line of its own file, since columns change over time."""
    headers = [row.header for row in lines.select("header").distinct().orderBy("header").collect()]
    parts = [
        _parse_separated(lines.where(F.col("header") == header), reader, _names(header, reader.delimiter))
        for header in headers
        if header is not None
    ]
    no_lines = _parse_separated(lines.limit(0), reader, reader.columns)
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), parts, no_lines)


def _names(header: str, separator: str) -> list[str]:
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    return [name or f"unnamed_{position}" for position, name in enumerate(names, 1)]


def _parse_by_pattern(lines: DataFrame, reader: Reader) -> DataFrame:
    pattern = reader.pattern or ""
    groups = group_numbers(pattern)
    extracted = [F.regexp_extract("text", pattern, number).alias(name) for name, number in groups.items()]
    fields = F.struct(*extracted, F.lit(None).cast("string").alias(BROKEN))
    return _with_fields(lines, fields, F.col("text").rlike(pattern), "expected a match of the pattern of the TOML")


def _with_fields(lines: DataFrame, fields: Column, is_readable: Column, expected: str) -> DataFrame:
    parsed = lines.withColumn("fields", fields)
    problem = (
        F.when(F.trim("text") == "", "a blank line")
        .when(
            F.col("fields").isNull() | F.col(f"fields.{BROKEN}").isNotNull() | ~is_readable,
            f"cannot be parsed; {expected}",
        )
        .alias("__problem")
    )
    own = [name for name in OWN_COLUMNS if name in lines.columns]
    return parsed.select(*[F.col(name).alias(f"__{name}") for name in own], problem, "fields.*").drop(BROKEN)
