"""The parts of a parsed expression: what they read, how long they may become, and what a call of a function may do."""

from dataclasses import dataclass, replace

from pipeline.sources.functions import (
    CAST_FUNCTIONS,
    FACTORS,
    LAMBDA_FUNCTIONS,
    LITERAL_ARGUMENTS,
    LONGEST_PADDING,
    MOST_ARGUMENTS,
    OF_CONSTANTS,
    PICKS_ONE,
)


class ExpressionError(ValueError):
    """An expression that a source may not use."""


@dataclass(frozen=True)
class Value:
    """A parsed part of an expression.

    sql: its text for Spark. growth, size: it has at most growth * (characters of the line) + size characters.
    names: the fields and lambda parameters that it reads, in small letters. literal: the value of literal text or of a
    literal number.
    """

    sql: str
    growth: int = 0
    size: int = 0
    names: frozenset[str] = frozenset()
    literal: str | None = None


def total(sql: str, parts: list[Value]) -> Value:
    names = frozenset().union(*[one.names for one in parts])
    return Value(sql, sum(one.growth for one in parts), sum(one.size for one in parts), names)


def longest(sql: str, parts: list[Value]) -> Value:
    longest = max((one.growth for one in parts), default=0), max((one.size for one in parts), default=0)
    return replace(total(sql, parts), growth=longest[0], size=longest[1])


def condition(sql: str, parts: list[Value]) -> Value:
    """Return a condition: true or false, whatever the length of its parts."""
    return replace(total(sql, parts), growth=0, size=5)


def of_a_line(value: Value, name: str) -> Value:
    """Refuse what names no field: Spark computes it once, and could so make a word such as 'now' a time."""
    if not value.names:
        raise ExpressionError(f"{name!r} names no field here, so its value is the same for all lines; write the value")
    return value


def require_arguments(name: str, arguments: list[Value]) -> None:
    most = MOST_ARGUMENTS.get(name)
    if most is not None and len(arguments) > most:
        raise ExpressionError(f"{name!r} has {len(arguments)} arguments; allowed are at most {most}")
    for position in LITERAL_ARGUMENTS.get(name, ()):
        if position < len(arguments) and (arguments[position].literal is None or arguments[position].names):
            raise ExpressionError(f"argument {position + 1} of {name!r} comes from the line; expected a literal")
    index = {"element_at": 1, "try_element_at": 1, "slice": 1, "split_part": 2}.get(name)
    if index is not None and len(arguments) > index and arguments[index].literal == "0":
        raise ExpressionError(f"argument {index + 1} of {name!r} is 0; expected 1 for the first, or -1 for the last")
    if name in ("lpad", "rpad") and len(arguments) > 1:
        width = arguments[1].literal or ""
        if not width.isdecimal() or int(width) > LONGEST_PADDING:
            raise ExpressionError(f"{name!r} pads to {width}; allowed are up to {LONGEST_PADDING:,} characters")
    if name == "epoch" and (len(arguments) != 1 or "timestamp_micros" in arguments[0].sql):
        raise ExpressionError("'epoch' takes one number or its text")


def called(name: str, arguments: list[Value]) -> Value:
    called = ", ".join(one.sql for one in arguments)
    value = (longest if name in PICKS_ONE else total)(f"{name}({called})", arguments)
    if name == "epoch":
        value = replace(value, sql=_epoch(arguments[0].sql))
    if name in LAMBDA_FUNCTIONS and len(arguments) == 2:
        value = _applied(name, value.sql, *arguments)
    factor = FACTORS.get(name, 1)
    literals = [one.literal or "" for one in arguments]
    if name == "replace" and len(arguments) == 3 and len(literals[2]) > len(literals[1]):
        factor = len(literals[2])
    elif name == "regexp_replace" and len(arguments) >= 3 and literals[2]:
        factor = 1 + len(literals[2])
    elif name in ("array_join", "concat_ws"):
        separator = literals[0] if name == "concat_ws" else "".join(literals[1:])
        factor = 1 + len(separator)
    padding = LONGEST_PADDING if name in ("lpad", "rpad") else 0
    value = replace(value, growth=value.growth * factor, size=value.size * factor + padding)
    return value if name in OF_CONSTANTS or name in CAST_FUNCTIONS else of_a_line(value, name)


def _applied(name: str, sql: str, values: Value, function: Value) -> Value:
    """Return the value of a function with a lambda. Only `transform` makes text, from its parameters alone.

    A body that repeats other fields for each element would make a text as long as the square of the line.
    """
    own = frozenset((function.literal or "").split("\0"))
    others = function.names - own
    whole = Value(sql, values.growth, values.size, values.names | others)
    if name != "transform":
        return whole
    if others:
        raise ExpressionError(
            f"the function in 'transform' reads {', '.join(sorted(others))}; allowed are its own parameters"
        )
    factor = function.growth + function.size
    return replace(whole, growth=values.growth * factor, size=values.size * factor)


# Of x, a number or its text: seconds below 10^11, then milli-, micro- and nanoseconds. 10^11 ms is a day in 1973, so
# no time of a log is read by the wrong unit. A decimal keeps each digit, which a double of nanoseconds does not.
NUMBER = "cast(({x}) AS DECIMAL(38, 9))"
MICROS_PER_UNIT = (
    "CASE WHEN abs({n}) < 1e11BD THEN 1000000 WHEN abs({n}) < 1e14BD THEN 1000 WHEN abs({n}) < 1e17BD THEN 1 "
    "WHEN abs({n}) < 1e20BD THEN 0.001 END"
)
AS_TIMESTAMP = "timestamp_micros(cast({n} * ({micros}) AS BIGINT))"


def _epoch(x: str) -> str:
    """Return Spark's SQL of `epoch(x)`. A SQL function of our own cannot do it: it fails inside a lambda."""
    number = NUMBER.format(x=x)
    return AS_TIMESTAMP.format(n=number, micros=MICROS_PER_UNIT.format(n=number))
