"""From landed lines to named fields, by the reader of their source."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.landing.clean_plan import CleanPlan
from pipeline.landing.in_place import InPlaceFile, lines_in_place
from pipeline.landing.zone import LandingZone
from pipeline.sources.schema import Reader, group_numbers
from pipeline.transforms.rows import frame_of_rows
from pipeline.transforms.union import union

SCHEMA = "file string, line long, text string, header string"
LIMITS = ("earliest", "latest")  # plausible days of a landed file in which lines lie outside of them
DAY_IN_PATH = r"/(\d{4}-\d{2}-\d{2})/[^/]*$"
BROKEN = "__broken"  # Spark puts the text of a line here that it cannot parse
MAX_FIELDS = 20_000
MAX_NAMES = 2_000
NOT_IN_LINES = (*LIMITS, "source", "arrival_day")
OWN_COLUMNS = ("source", "arrival_day", "file", "line", "text", "header")


def landed_lines(spark: SparkSession, zone: LandingZone, plan: CleanPlan) -> dict[str, DataFrame]:
    """Return by source one row per line of the planned days: `source`, `arrival_day`, `file`, `line`, `text`, `header`,
    and `earliest` and `latest`, null in files whose days are all plausible.

    Sources without lines on these days are left out, but one, if none has any.
    """
    landed = ", ".join([SCHEMA, *[f"{name} date" for name in LIMITS]])
    lines = {}
    for source in sorted({day.source for day in plan.landed}):
        days = [day for day in plan.landed if day.source == source and day.lines]
        parts = []
        if folders := [str(zone.day_folder(source, day.day)) for day in days if day.lines > day.in_place]:
            read = spark.read.schema(landed).option("pathGlobFilter", "*.parquet").parquet(*folders)
            day = F.to_date(F.regexp_extract(F.col("_metadata.file_path"), DAY_IN_PATH, 1))
            parts.append(read.withColumns({"source": F.lit(source), "arrival_day": day}))
        if files := [(one.day, file) for one in days if one.in_place for file in zone.files_in_place(source, one.day)]:
            parts.append(_lines_in_place(spark, source, files, zone.sources()[source].reader))
        if parts:
            lines[source] = union(parts)
    if not lines:
        lines[min(zone.sources())] = frame_of_rows(spark, [], f"{landed}, source string, arrival_day date")
    return lines


def _lines_in_place(
    spark: SparkSession, source: str, files: Sequence[tuple[date, InPlaceFile]], reader: Reader
) -> DataFrame:
    """Return the lines of files that landed in place, as `landed_lines` does. Each file is a task."""
    names = ", ".join([SCHEMA, *[f"{name} date" for name in LIMITS], "source string, arrival_day date"])

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in chain.from_iterable(batch["id"].to_pylist() for batch in batches):
            day, file = files[number]
            no_limit, of_day = pa.scalar(None, pa.date32()), pa.scalar(day, pa.date32())
            for lines in lines_in_place(file, reader):
                constants = [pa.repeat(one, len(lines)) for one in (no_limit, no_limit, pa.scalar(source), of_day)]
                yield pa.RecordBatch.from_arrays([*lines.columns, *constants], [*lines.schema.names, *NOT_IN_LINES])

    return spark.range(0, len(files), 1, len(files)).mapInArrow(read, names)


def parse_lines(lines: DataFrame, reader: Reader) -> DataFrame:
    """Return the reader's fields, the columns of `lines` under `__`, and `__problem`: why it is unreadable, else null.

    lines: one row per landed line; needs `text`, and `header` for readers with a header line.
    """
    if (reader.format in ("csv", "tsv") and reader.header) or reader.format == "w3c":
        return _parse_by_header(lines, reader)
    if reader.format in ("csv", "tsv"):
        return _parse_separated(lines, F.col("text"), reader, reader.columns)
    if reader.format == "regex":
        return _parse_by_pattern(lines, reader)
    return _parse_json(lines, reader)


def _parse_json(lines: DataFrame, reader: Reader) -> DataFrame:
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": BROKEN}
    text = _without_byte_escapes(F.col("text")) if reader.format == "jsonl" else F.col("text")
    fields = F.from_json(text, f"{reader.fields}, {BROKEN} STRING", options)
    # from_json reads only the first object of a line. If the only } is at the end, there is one object. Other lines are
    # parsed once more, as a list, to count their objects.
    is_flat = F.instr(F.rtrim(text), "}") == F.length(F.rtrim(text))
    objects = F.coalesce(F.json_array_length(F.concat(F.lit("["), text, F.lit("]"))), F.lit(0))
    is_object = text.rlike(r"^\s*\{") & F.when(is_flat, F.lit(True)).otherwise(objects == 1)
    return _with_fields(lines, fields, is_object, "expected one JSON object with the fields of the TOML")


def _without_byte_escapes(text: Column) -> Column:
    r"""Return JSON with what JSON knows in place of \xHH, by which nginx and Apache write the bytes of utf-8.

    ASCII becomes \u00HH, since it may be a quote; other bytes become their character, or the text \xHH if they are no
    utf-8. An x after an escaped backslash is no escape.
    """
    before = r"(?<!\\)((?:\\\\)*+)\\x"
    plain = F.regexp_replace(text, before + "([0-7][0-9A-Fa-f])", r"$1\\u00$2")
    quoted = F.replace(F.replace(plain, F.lit("%"), F.lit("%25")), F.lit("+"), F.lit("%2B"))
    no_ascii = before + "([89A-Fa-f][0-9A-Fa-f])"
    decoded = F.try_url_decode(F.regexp_replace(quoted, no_ascii, "$1%$2"))
    is_utf8 = (F.instr(decoded, "\ufffd") == 0) | (F.instr(text, "\ufffd") > 0)
    kept = F.regexp_replace(plain, no_ascii, r"$1\\\\x$2")
    return F.when(F.instr(text, r"\x") > 0, F.when(is_utf8, decoded).otherwise(kept)).otherwise(text)


def _parse_separated(
    lines: DataFrame, text: Column, reader: Reader, columns: list[str], separator: str | None = None
) -> DataFrame:
    separator = separator or reader.delimiter
    quoting = {"quote": "", "escape": ""}
    is_readable = F.lit(True)
    if _has_quotes(reader, separator):
        quoting = {"quote": '"', "escape": reader.escape or '"'}
        is_readable = (F.instr(text, '"') == 0) | text.rlike(_well_formed(separator, reader))
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": BROKEN, "sep": separator, **quoting}
    if reader.multiline:
        options["multiLine"] = "true"
    schema = ", ".join(f"`{column.replace('`', '``')}` STRING" for column in [*columns, BROKEN])
    # Spark's parser fails the job at 20,480 fields, in every mode.
    fields = F.from_csv(F.when(_separators(text, separator) < MAX_FIELDS, text), F.lit(schema), options)
    expected = F.lit(f"expected {len(columns)} fields: {separator.join(columns)}")
    if reader.format == "csv" and not reader.escape:
        ambiguous = F.when(text.rlike(r'"[^"]*\\[\\"]'), "; if \\ is the escape sign, set escape = '\\\\' in [reader]")
        expected = F.concat(expected, F.coalesce(ambiguous, F.lit("")))
    return _with_fields(lines, fields, is_readable, expected)


def _has_quotes(reader: Reader, separator: str) -> bool:
    return reader.format == "csv" or (reader.format == "w3c" and separator == " ")


def _well_formed(separator: str, reader: Reader) -> str:
    r"""Return a pattern of lines whose quotes stand at both ends of values, escaped within them.

    Without `reader.escape` a quote is doubled, and a value holds no backslash before a backslash or quote, since the
    other escape sign would change it.
    """
    escape = '"' if reader.format == "w3c" else reader.escape
    inside = {'"': '[^"]++|""', "\\": r'[^"\\]++|\\.', None: r'[^"\\]++|""|\\(?!["\\])'}[escape]
    between = re.escape(separator)
    unquoted = f"[^{between}]*+" if len(separator) == 1 else f"(?:(?!{between}).)*+"
    value = rf'(?:"(?:{inside})*+"\x20*+(?={between}|\z)|(?!"){unquoted})'
    return rf"(?s)\A{value}(?:{between}{value})*+\z"


def _parse_by_header(lines: DataFrame, reader: Reader) -> DataFrame:
    """Parse each line by the header line of its own file, since columns change over time.

    Lines that landed without a header, before the TOML had `header = true`, have the columns of the TOML in its order.
    """
    headers = [row.header for row in lines.select("header").distinct().orderBy("header").collect()]
    parts = []
    for header in (one for one in headers if one is not None):
        own = lines.where(F.col("header") == header)
        if reader.format == "w3c":
            names = _names_of_fields_line(header)
            has_tabs = F.coalesce(F.contains(F.col("text"), F.lit("\t")), F.lit(False))  # an erased line has no text
            for separator, those in (("\t", has_tabs), (" ", ~has_tabs)):
                within = _within_header(reader, separator, len(names))
                parts.append(
                    _without_dashes(_parse_separated(own.where(those), within, reader, names, separator), names)
                )
        else:
            names = _names(header, reader)
            parts.append(_parse_separated(own, _within_header(reader, reader.delimiter, len(names)), reader, names))
    if reader.format == "w3c":
        no_fields = F.struct(*[F.lit(None).cast("string").alias(name) for name in [*reader.columns, BROKEN]])
        before = lines.where("header IS NULL")
        headless = _with_fields(before, no_fields, F.lit(False), "expected a line #Fields: before it")
    else:
        headless = _parse_separated(lines.where("header IS NULL"), F.col("text"), reader, reader.columns)
    return union([headless, *parts], allow_missing_columns=True)


def _without_dashes(parsed: DataFrame, names: list[str]) -> DataFrame:
    """Make the value "-" null, by which a W3C log says that there is none."""
    return parsed.withColumns({name: F.nullif(F.col(f"`{name}`"), F.lit("-")) for name in names})


def _names_of_fields_line(header: str) -> list[str]:
    """Return the names of a line `#Fields:` in the form that expressions can use: cs(User-Agent) is cs_user_agent."""
    found = [re.sub("[^a-z0-9]+", "_", name.lower()).strip("_") for name in header.split()[1:]]
    return _unique(found[:MAX_NAMES])


def _within_header(reader: Reader, separator: str, names: int) -> Column:
    """Return the text of a line without the trailing empty values that its header does not name."""
    text = F.col("text")
    unquoted = F.regexp_replace(text, '"[^"]*"', "") if _has_quotes(reader, separator) else text
    surplus = _separators(unquoted, separator) - F.lit(names - 1)
    is_empty = (surplus > 0) & F.endswith(text, F.repeat(F.lit(separator), surplus))
    end = F.length(text) - surplus * len(separator)
    return F.when(is_empty, F.substr(text, F.lit(1), end)).otherwise(text)


def _separators(text: Column, separator: str) -> Column:
    without = F.length(F.replace(text, F.lit(separator)))
    return ((F.length(text) - without) / len(separator)).cast("int")


def _names(header: str, reader: Reader) -> list[str]:
    """Return the names of a header line, made unique: of two equal names, the first keeps it.

    Names that begin with __ are reserved. A line that cannot be a header gives one column that no expression uses.
    """
    stand_in = "\x1f"  # the csv module takes separators of one character only
    row = header.replace(reader.delimiter, stand_in)
    try:
        found = row.split(stand_in) if reader.format == "tsv" else next(csv.reader([row], delimiter=stand_in), [])
    except csv.Error:
        found = []
    return _unique([name.replace(stand_in, reader.delimiter).strip() for name in found[:MAX_NAMES]])


def _unique(found: list[str]) -> list[str]:
    names: dict[str, str] = {}
    for position, plain in enumerate(found or [""], 1):
        is_usable = plain and not plain.startswith("__") and plain.lower() not in names  # Spark ignores case
        unique = plain if is_usable else f"unnamed_{position}"
        names[unique.lower()] = unique
    return list(names.values())


def _parse_by_pattern(lines: DataFrame, reader: Reader) -> DataFrame:
    pattern = reader.pattern or ""
    groups = group_numbers(pattern)
    extracted = [F.regexp_extract("text", pattern, number).alias(name) for name, number in groups.items()]
    fields = F.struct(*extracted, F.lit(None).cast("string").alias(BROKEN))
    return _with_fields(lines, fields, F.col("text").rlike(pattern), "expected a match of the pattern of the TOML")


def _with_fields(lines: DataFrame, fields: Column, is_readable: Column, expected: str | Column) -> DataFrame:
    parsed = lines.withColumn("fields", fields)
    problem = (
        F.when(F.trim("text") == "", "a blank line")
        .when(
            F.col("fields").isNull() | F.col(f"fields.{BROKEN}").isNotNull() | ~is_readable,
            F.concat(F.lit("cannot be parsed; "), F.lit(expected)),
        )
        .alias("__problem")
    )
    own = [F.col(name).alias(f"__{name}") for name in lines.columns]
    return parsed.select(*own, problem, "fields.*").drop(BROKEN)
