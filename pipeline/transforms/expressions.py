"""SQL expressions of a TOML, with the functions that the pipeline adds to those of Spark."""

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

QUOTES = "'\"`"
EPOCH = re.compile(r"(?<![\w.`])epoch\s*\(", re.IGNORECASE)
# Of x, a number or its text: seconds below 10^11, then milli-, micro- and nanoseconds. 10^11 ms is a day in 1973, so
# no time of a log is read by the wrong unit. A decimal keeps each digit, which a double of nanoseconds does not.
NUMBER = "cast(({x}) AS DECIMAL(38, 9))"
MICROS_PER_UNIT = (
    "CASE WHEN abs({n}) < 1e11BD THEN 1000000 WHEN abs({n}) < 1e14BD THEN 1000 WHEN abs({n}) < 1e17BD THEN 1 "
    "WHEN abs({n}) < 1e20BD THEN 0.001 END"
)
AS_TIMESTAMP = "timestamp_micros(cast({n} * ({micros}) AS BIGINT))"


def expression(text: str) -> Column:
    """Return the column of a SQL expression of a TOML, in which `epoch(x)` is the time of a number since 1970.

    Spark's own SQL functions cannot do it: they fail inside a lambda such as `transform(times, t -> epoch(t))`.
    """
    return F.expr(expand(text))


def expand(text: str) -> str:
    """Return an expression with each `epoch(x)` replaced by Spark's functions. Literal text stays as it is."""
    done, position = "", 0
    while position < len(text):
        call = EPOCH.match(text, position)
        end = _closing(text, call.end()) if call else None
        if call and end is not None:
            done += _epoch(expand(text[call.end() : end]))
            position = end + 1
        elif text[position] in QUOTES:
            end = _end_of_literal(text, position)
            done, position = done + text[position:end], end
        else:
            done, position = done + text[position], position + 1
    return done


def _epoch(x: str) -> str:
    number = NUMBER.format(x=x)
    return AS_TIMESTAMP.format(n=number, micros=MICROS_PER_UNIT.format(n=number))


def _closing(text: str, start: int) -> int | None:
    """Return where the parenthesis closes that opened before `start`; None if it does not, which Spark refuses."""
    depth, position = 1, start
    while position < len(text):
        if text[position] in QUOTES:
            position = _end_of_literal(text, position)
            continue
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if not depth:
            return position
        position += 1
    return None


def _end_of_literal(text: str, start: int) -> int:
    """Return the position after the quoted text that begins at `start`; a backslash escapes the next character."""
    position = start + 1
    while position < len(text) and text[position] != text[start]:
        position += 2 if text[position] == "\\" and text[start] != "`" else 1
    return position + 1
