"""From the fields of a source to canonical columns, and the reason for which a line is rejected."""

import re
from collections.abc import Sequence
from pathlib import Path

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.errors import SourceError
from pipeline.sources.expressions import to_sql
from pipeline.sources.rules import Sizes
from pipeline.sources.schema import ERASED, ITEM_EXPRESSIONS, EventType, Reader, Source
from pipeline.transforms.clocks import EARLIEST, LATEST, in_calendar, is_in_future, never_after_receipt, with_event_time
from pipeline.transforms.identity import id_text, item_without_placeholders, named_tags, without_placeholders
from pipeline.transforms.parse import LIMITS, OWN_COLUMNS, parse_lines

TYPES = {
    "event_id": "string",
    "user_id": "string",
    "device_id": "string",
    "event_at": "timestamp",
    "received_at": "timestamp",
    "sent_at": "timestamp",
    "created_at": "timestamp",
    "event_type": "string",
    "item_id": "string",
    "tags": "array<string>",
    "dwell_seconds": "double",
    "url": "string",
    "referrer": "string",
    "user_agent": "string",
    "ip": "string",
    "consent": "boolean",
    "session_id": "string",
    "sequence": "bigint",
}
IDS_WITH_PLACEHOLDERS = ("event_id", "user_id", "device_id", "session_id")
TEXTS = ("url", "referrer", "user_agent", "ip")
COMMENT = "comment"
# Ids have more than two digits or an @, mostly; `rejects list` shows the line in any case.
NAME_OF_TYPE = r"^(?!(?:.*\d){3})[\p{L}\d _.:/-]{1,40}$"
HIDDEN_TYPE = "(not shown: it may be an id)"
WITHOUT_TEXT = "the person was erased, and so was the text of the line"


def canonical_lines(lines: DataFrame, source: Source) -> DataFrame:
    """Return one row per event: the own columns of its line, `problem`, `rule`, the canonical columns (null if
    unreadable), `part`, the id spaces `user_space` and `item_space`, `kept_of_url`, `tolerance_micros` of copies, and
    `excess`: what of it is larger than the TOML allows, else null.

    A line is one event. With `[unfold]`, each element of its array is one, and a line without elements is one.
    rule: name of the first rule of `[reject_when]` that is true. `earliest`, `latest`: plausible days, null if unknown.

    lines: one row per landed line; needs `source`, `arrival_day`, `file`, `line`, `text`, `header`; may have LIMITS.
    """
    parsed = _unfolded(parse_lines(lines, source.reader), source)
    own = [F.col(f"__{name}").alias(name) for name in OWN_COLUMNS if f"__{name}" in parsed.columns]
    columns = {name: _column(source, name) for name in TYPES}
    if source.unfold and not re.search(r"\beach\b", source.columns.event_id or ""):
        # The id is that of the line: each of its events needs its own.
        number = F.when(F.col("__part") > 1, F.concat(F.lit("#"), "__part")).otherwise("")
        columns["event_id"] = F.concat(columns["event_id"], number).alias("event_id")
    rule = F.coalesce(F.lit(None), *[F.when(expression(when), code) for code, when in source.reject_when.items()])
    problem, of_comment = F.col("__problem"), is_comment(F.col("__text"), source.reader)
    if source.reader.format in ("csv", "tsv"):
        # A line such as "#Version: 1.0" has too few fields, but a rule on the first one may say what it is.
        problem = F.when(F.col("__text").startswith("#") & rule.isNotNull(), None).otherwise(problem)
    rule, problem = F.when(of_comment, COMMENT).otherwise(rule), F.when(~of_comment, problem)
    of_source = {
        "user_space": source.user_space,
        "item_space": source.item_space,
        "kept_of_url": source.privacy.url,
        "tolerance_micros": round(source.copies.tolerance_minutes * 60e6),
    }
    limits = [_limit(name, parsed, source).alias(name) for name in LIMITS]
    times = (source.columns.created_at, source.columns.sent_at, source.columns.received_at)
    events = with_event_time(
        parsed.select(
            *own,
            F.col("__part").alias("part"),
            problem.alias("problem"),
            rule.cast("string").alias("rule"),
            *columns.values(),
            *limits,
            *[F.lit(value).alias(name) for name, value in of_source.items()],
        ),
        has_all_times=all(times),
    )
    return events.withColumn("excess", excess(source.sizes, (*IDS_WITH_PLACEHOLDERS, "item_id"), TEXTS))


def excess(sizes: Sizes, ids: Sequence[str], texts: Sequence[str]) -> Column:
    """Return what of a row is larger than allowed, without its value; null if nothing is.

    ids, texts: names of columns. The row needs them and `tags`.
    """
    longest_tag = F.array_max(F.transform("tags", lambda tag: F.length(tag)))
    measured = [
        *[(f"characters of {name}", F.length(name), "id_characters") for name in ids],
        *[(f"characters of {name}", F.length(name), "text_characters") for name in texts],
        ("characters of a tag", longest_tag, "id_characters"),
        ("tags", F.size("tags"), "tags"),
    ]
    found = []
    for what, number, key in measured:
        most = getattr(sizes, key)
        expected = F.lit(f" {what}, expected at most {most:,}: see {key} of [sizes] of the TOML")
        found.append(F.when(number > most, F.concat(F.format_number(number, 0), expected)))
    return F.coalesce(*found)


def _limit(name: str, parsed: DataFrame, source: Source) -> Column:
    """Return the earliest or latest plausible day of a line: that of the TOML, else that of its file, else null."""
    of_file = F.col(f"__{name}") if f"__{name}" in parsed.columns else F.lit(None)
    return F.coalesce(F.lit(getattr(source.times, name)), of_file).cast("date")


def is_comment(text: Column, reader: Reader) -> Column:
    """Return whether a line is a comment of its format; never null."""
    sign = "#" if reader.format == "w3c" else reader.comment
    return F.coalesce(text.startswith(sign), F.lit(False)) if sign else F.lit(False)


def _unfolded(parsed: DataFrame, source: Source) -> DataFrame:
    """Add `__part`, and with `[unfold]` return one row per element of its array, named `each`."""
    if not source.unfold:
        return parsed.withColumn("__part", F.lit(1))
    elements = F.posexplode_outer(expression(source.unfold.each)).alias("__position", "each")
    part = (F.coalesce("__position", F.lit(0)) + 1).alias("__part")
    return parsed.select("*", elements).select("*", part).drop("__position")


def with_own_day(lines: DataFrame, source: Source) -> DataFrame:
    """Add `own_day` to lines: the UTC date of received_at, else of event_at or created_at; null if none is readable.

    It is the day of the columns that `canonical_lines` makes, but only the fields that these columns name are parsed.
    A line without a day is parsed once more with all fields, since Spark keeps other parts of broken JSON then.
    """
    times = ("received_at", "event_at", "created_at")
    each = source.unfold.each if source.unfold else ""
    reader = _reader_of(lines.sparkSession, source, [getattr(source.columns, name) or "" for name in times] + [each])
    own_day = F.to_date(F.coalesce(*[_column(source, name) for name in times]))
    own_day = F.when(~is_comment(F.col("__text"), source.reader), own_day)
    own = [F.col(f"__{name}").alias(name) for name in OWN_COLUMNS]
    dated = lines.withColumn("arrival_day", F.lit(None).cast("date"))
    dated = _with_first(parse_lines(dated, reader), source).select(*own, own_day.alias("own_day"))
    if reader == source.reader:
        return dated
    undated = dated.withColumns({"kept": F.col("text"), "text": F.when(F.col("own_day").isNull(), F.col("text"))})
    own_day = F.coalesce("__own_day", own_day)
    parsed = _with_first(parse_lines(undated, source.reader), source).withColumn("__text", F.col("__kept"))
    return parsed.select(*own, own_day.alias("own_day"))


def _with_first(parsed: DataFrame, source: Source) -> DataFrame:
    """Add the first element of `[unfold]` as `each`, whose day is the day of the line."""
    return parsed.withColumn("each", F.get(expression(source.unfold.each), F.lit(0))) if source.unfold else parsed


def _reader_of(spark: SparkSession, source: Source, expressions: Sequence[str]) -> Reader:
    """Return the reader with those of its typed fields that occur in SQL expressions."""
    reader, text = source.reader, " ".join(expressions).lower()
    if not reader.fields:
        return reader
    named = [one for one in spark.createDataFrame([], reader.fields).schema if one.name.lower() in text]
    types = [f"`{one.name}` {one.dataType.simpleString()}" for one in named]
    is_plain = all(re.fullmatch(r"[\w<>:,() ]+", one.dataType.simpleString()) and "`" not in one.name for one in named)
    return reader.model_copy(update={"fields": ", ".join(types)}) if named and is_plain else reader


def with_ids(lines: DataFrame, source: Source) -> DataFrame:
    """Return the own columns of each line, `user_space`, and `user_id`, `device_id` and `session_id` of each event.

    Ids are those of the source; null where the line cannot be parsed or names none.

    lines: one row per landed line of the source; needs `source`, `arrival_day`, `file`, `line`, `text`, `header`.
    """
    parsed = _unfolded(parse_lines(lines, source.reader), source)
    own = [F.col(f"__{name}").alias(name) for name in OWN_COLUMNS if name != "header"]
    ids = [_column(source, name) for name in ("user_id", "device_id", "session_id")]
    return parsed.select(*own, *ids, F.lit(source.user_space).alias("user_space"))


def check_expressions(spark: SparkSession, source: Source, file: Path) -> None:
    """Raise SourceError naming file and key if an expression is invalid or names an unknown field.

    A rule of `[reject_when]` must be a condition.
    """
    no_lines = spark.createDataFrame([], "text string, header string")
    try:
        parsed = parse_lines(no_lines, source.reader)
        _analyze(parsed)
    except (AnalysisException, ParseException) as error:
        raise SourceError(f"{file}: key 'reader.fields': {_first_line(error)}") from None
    if source.unfold:
        try:
            parsed = _unfolded(parsed, source)
            _analyze(parsed)
        except (AnalysisException, ParseException) as error:
            key = f"{file}: key 'unfold.each' = {source.unfold.each!r}"
            raise SourceError(f"{key}: expected an array of the events: {_first_line(error)}") from None
    for name in TYPES:
        try:
            # Selected with a column, an aggregate is refused.
            _analyze(parsed.select("__text", _column(source, name)))
        except (AnalysisException, ParseException) as error:
            raise SourceError(
                f"{file}: key 'columns.{name}' = {getattr(source.columns, name)!r}: {_first_line(error)}"
            ) from None
    for code, when in source.reject_when.items():
        key = f"{file}: key 'reject_when.{code}' = {when!r}"
        try:
            kind = parsed.select("__text", expression(when).alias("rule")).schema["rule"].dataType.simpleString()
        except (AnalysisException, ParseException) as error:
            raise SourceError(f"{key}: {_first_line(error)}") from None
        if kind != "boolean":
            raise SourceError(f"{key}: its value is of type {kind}; expected a condition, which is true or false")


def _analyze(frame: DataFrame) -> None:
    """Let Spark analyse a plan; Spark Connect does so only when its schema is read."""
    frame.schema  # noqa: B018


def check_items(spark: SparkSession, source: Source, file: Path) -> None:
    """Raise SourceError naming file and key if an expression of `[items]` is invalid."""
    if source.items is None:
        return
    parsed = parse_lines(spark.createDataFrame([], "text string, header string"), source.items.reader)
    for name in ITEM_EXPRESSIONS:
        text = getattr(source.items, name)
        try:
            _analyze(parsed.select("__text", expression(text or "NULL")))
        except (AnalysisException, ParseException) as error:
            raise SourceError(f"{file}: key 'items.{name}' = {text!r}: {_first_line(error)}") from None


def with_reason(canonical: DataFrame, event_types: dict[str, EventType], future_days: int) -> DataFrame:
    """Add `reason` and `detail` (null if the line is accepted) and `weight`; make the event type canonical.

    An event_at after received_at becomes received_at; farther than `future_days`, the line is rejected.

    canonical: as `canonical_lines` returns it.
    """
    known_type = F.create_map(*[F.lit(text) for name, kind in event_types.items() for text in (name, kind.canonical)])
    weight = F.create_map(*[F.lit(part) for name, kind in event_types.items() for part in (name, kind.weight)])
    own_day = F.to_date(F.coalesce("received_at", "event_at"))
    earliest = F.coalesce("earliest", F.lit(EARLIEST).cast("date"))
    latest = F.coalesce("latest", F.lit(LATEST).cast("date"))
    # Analysts read the detail, and the TOML may take an id for the type.
    shown_type = F.when(F.col("event_type").rlike(NAME_OF_TYPE), F.col("event_type")).otherwise(HIDDEN_TYPE)
    rules = [
        (ERASED, F.col("text").isNull(), F.lit(WITHOUT_TEXT)),
        ("unparsable", F.col("problem").isNotNull(), F.col("problem")),
        (F.col("rule"), F.col("rule").isNotNull(),
         F.when(F.col("rule") == COMMENT, "a comment").otherwise(
             F.concat(F.lit("set aside by the rule reject_when."), F.col("rule"), F.lit(" of the TOML")))),
        ("missing_user", F.coalesce("user_id", "device_id").isNull(), F.lit("neither user_id nor device_id")),
        ("missing_event_at", F.col("event_at").isNull(), F.lit(f"no readable time between {EARLIEST} and {LATEST}")),
        ("missing_event_type", F.col("event_type").isNull(), F.lit("no event type")),
        ("too_large", F.col("excess").isNotNull(), F.col("excess")),
        ("unknown_event_type", known_type[F.col("event_type")].isNull(),
         F.concat(F.lit("event type "), shown_type, F.lit(" is not in [event_types] of the TOML"))),
        ("implausible_time", ~own_day.between(earliest, latest),
         F.concat(F.lit("a time of "), own_day, F.lit("; expected one from "), earliest, F.lit(" to "), latest,
                  F.lit(", where the lines of its file lie; if it is right, set [times] in the TOML"))),
        ("event_in_future", is_in_future(future_days),
         F.concat(F.lit("event_at "), F.col("event_at"), F.lit(" lies after its day of receipt "),
                  F.coalesce(F.to_date("received_at"), "arrival_day"))),
    ]  # fmt: skip
    reason, detail = F.lit(None).cast("string"), F.lit(None).cast("string")
    for code, is_broken, explanation in reversed(rules):
        reason = F.when(is_broken, code).otherwise(reason)
        detail = F.when(is_broken, explanation).otherwise(detail)
    rated = never_after_receipt(canonical, future_days).withColumns({"reason": reason, "detail": detail})
    rated = rated.withColumns({"weight": weight[F.col("event_type")], "event_type": known_type[F.col("event_type")]})
    return rated.drop(*LIMITS, "excess")


def _column(source: Source, name: str) -> Column:
    text = getattr(source.columns, name)
    if not text:
        column = F.lit(None).cast(TYPES[name])
    elif name in IDS_WITH_PLACEHOLDERS:
        column = without_placeholders(id_text(expression(text)), source.identity)
    elif name == "item_id":
        column = item_without_placeholders(id_text(expression(text)), source.identity)
    elif TYPES[name] == "string":
        column = F.nullif(F.trim(expression(text).cast("string")), F.lit(""))
    else:
        column = expression(text).cast(TYPES[name])
    if TYPES[name] == "timestamp":
        column = in_calendar(column)
    if name == "tags":
        column = named_tags(column)
    return column.alias(name)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def expression(text: str) -> Column:
    """Return the column of an expression of a TOML, in which `epoch(x)` is the time of a number since 1970.

    Raises ExpressionError if a source may not use it.
    """
    return F.expr(to_sql(text))
