"""Expressions of a TOML: a small, safe part of Spark SQL, parsed and written again for Spark.

Spark sees only text that `to_sql` writes, so it cannot read an expression differently. What the grammar below lacks
(subqueries, comments, window functions, parameters, other functions) cannot be written. The grammar follows the
precedence of Spark's SqlBaseParser.g4.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from pipeline.sources.functions import ALLOWED, LAMBDA_FUNCTIONS, words
from pipeline.sources.tokens import Token, text_of, tokens_of
from pipeline.sources.values import (
    ExpressionError,
    Value,
    called,
    condition,
    longest,
    of_a_line,
    require_arguments,
    total,
)

MAX_LENGTH, MAX_DEPTH, MAX_GROWTH = 4_000, 40, 100
# In a typed literal and where a time is expected, Spark reads these words as the time of the run.
SPECIAL_TIMES = re.compile(r"(?i)[\x00-\x20]*(now|today|tomorrow|yesterday)(?![a-z])")
# Other words may be fields. Fields of these names need backticks.
KEYWORDS = words("and between case div else end false ilike in is like not null or regexp rlike select then true when")
SCALAR_TYPES = words("bigint binary boolean date double float int integer long short smallint string timestamp tinyint")
UNITS = words("microsecond millisecond second minute hour day week month year")
# Binding powers: the higher, the tighter.
OR, AND, NOT, COMPARE, ADD, MULTIPLY, SIGN = range(1, 8)
COMPARISONS = {"=", "==", "<>", "!=", "<", "<=", ">", ">=", "<=>"}
WORDS_OF_COMPARISON = {"between", "in", "is", "like", "ilike", "rlike", "regexp", "not"}


def to_sql(text: str) -> str:
    """Return an expression as Spark gets it. Raises ExpressionError if a source may not use it."""
    return parse(text).sql


def require_allowed(text: str) -> str:
    """Return an expression as it is. Raises ExpressionError if a source may not use it."""
    parse(text)
    return text


def parse(text: str) -> Value:
    """Parse an expression. Raises ExpressionError naming what was found and what is allowed."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it has {len(text):,} characters; allowed are {MAX_LENGTH:,}")
    parser = _Parser(tokens_of(text))
    value = parser.expression(0)
    if parser.next.kind != "end":
        parser.refuse("an operator or the end")
    if value.growth > MAX_GROWTH:
        raise ExpressionError(
            f"its value may be {value.growth:,} times as long as the line; allowed is {MAX_GROWTH} times"
        )
    return value


class _Parser:
    """Parses by binding power (Pratt 1973, Top Down Operator Precedence)."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self._parameters: list[str] = []

    @property
    def next(self) -> Token:
        return self._tokens[self._position]

    def refuse(self, expected: str) -> NoReturn:
        raise ExpressionError(f"found {self.next.text or 'its end'!r}; expected {expected}")

    def _is(self, *words: str) -> bool:
        return self.next.kind in ("word", "sign") and self.next.text.lower() in words

    def _take(self) -> Token:
        self._position += 1
        return self._tokens[self._position - 1]

    def _accept(self, *words: str) -> bool:
        found = self._is(*words)
        self._position += found
        return found

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            self.refuse(repr(word.upper()))

    def expression(self, power: int) -> Value:
        """Parse a value whose operators bind tighter than `power`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"it is nested more than {MAX_DEPTH} deep")
        value = self._prefix()
        while (operator := self._power()) > power:
            value = self._compared(value) if operator == COMPARE else self._combined(value, operator)
        self._depth -= 1
        return value

    def _power(self) -> int:
        word = self.next.text.lower() if self.next.kind in ("word", "sign") else ""
        powers = {"or": OR, "and": AND, "+": ADD, "-": ADD, "||": ADD, "*": MULTIPLY, "/": MULTIPLY, "%": MULTIPLY}
        is_comparison = word in COMPARISONS or word in WORDS_OF_COMPARISON
        return COMPARE if is_comparison else MULTIPLY if word == "div" else powers.get(word, 0)

    def _combined(self, left: Value, power: int) -> Value:
        sign = self._take().text.upper()
        right = self.expression(power)
        value = total(f"({left.sql} {sign} {right.sql})", [left, right])
        if power < ADD:
            return replace(value, growth=0, size=1)
        return of_a_line(value, sign) if sign == "||" else value

    def _compared(self, left: Value) -> Value:
        if self.next.text in COMPARISONS:
            sign = self._take().text
            right = self.expression(COMPARE)
            return condition(f"({left.sql} {sign} {right.sql})", [left, right])
        negated = "NOT " if self._accept("not") else ""
        if not negated and self._accept("is"):
            negated = "NOT " if self._accept("not") else ""
            if not self._is("null", "true", "false"):
                self.refuse("NULL, TRUE or FALSE")
            return condition(f"({left.sql} IS {negated}{self._take().text.upper()})", [left])
        if self._accept("between"):
            least = self.expression(COMPARE)
            self._expect("and")
            most = self.expression(COMPARE)
            return condition(f"({left.sql} {negated}BETWEEN {least.sql} AND {most.sql})", [left, least, most])
        if self._accept("in"):
            self._expect("(")
            values = self._list(lambda: self.expression(0))
            return condition(f"({left.sql} {negated}IN ({', '.join(one.sql for one in values)}))", [left, *values])
        if not self._is("like", "ilike", "rlike", "regexp"):
            self.refuse("BETWEEN, IN, LIKE, ILIKE or RLIKE")
        how = self._take().text.upper()
        if self.next.kind != "text":
            self.refuse(f"literal text after {how}")
        return condition(f"({left.sql} {negated}{how} {self._take().text})", [left])

    def _prefix(self) -> Value:
        if self._accept("not", "!"):
            value = self.expression(NOT)
            return condition(f"(NOT {value.sql})", [value])
        if self._is("-", "+"):
            sign = self._take().text
            value = self.expression(SIGN)
            return replace(value, sql=f"({sign} {value.sql})", literal=value.literal and sign + value.literal)
        return self._postfix(self._primary())

    def _postfix(self, value: Value) -> Value:
        while True:
            if self._accept("."):
                if self.next.kind not in ("word", "quoted"):
                    self.refuse("the name of a field")
                value = replace(value, sql=f"{value.sql}.{_quoted(self._take().text)}")
                if self._is("("):
                    raise ExpressionError("a function is called by its own name, without a catalog or a database")
            elif self._accept("["):
                index = self.expression(0)
                self._expect("]")
                value = total(f"{value.sql}[{index.sql}]", [value, index])
            elif self._accept("::"):
                value = replace(value, sql=f"CAST({value.sql} AS {self._type()})", literal=None)
            else:
                return value

    def _primary(self) -> Value:
        token = self._take()
        word = token.text.lower()
        if token.kind == "text":
            return _literal_text(token.text)
        if token.kind == "number":
            return Value(token.text, size=len(token.text), literal=token.text)
        if token.kind == "quoted":
            if self._is("("):
                raise ExpressionError(f"a function is named without backticks: {token.text}")
            return self._name(token.text)
        if token.text == "(":
            value = self.expression(0)
            self._expect(")")
            return replace(value, sql=f"({value.sql})")
        if token.kind == "word" and word in ("true", "false", "null"):
            return Value(word.upper(), size=5, literal=word)
        if token.kind == "word" and word == "case":
            return self._case()
        if token.kind == "word" and word in ("cast", "try_cast") and self._accept("("):
            value = self.expression(0)
            self._expect("as")
            kind = self._type()
            self._expect(")")
            return replace(value, sql=f"{word.upper()}({value.sql} AS {kind})", literal=None)
        if token.kind == "word" and word in ("date", "timestamp") and self.next.kind == "text":
            text = self._take().text
            if not re.match(r"\d{4}-\d", text[1:]):
                raise ExpressionError(f"found {word.upper()} {text}; expected a day such as DATE '2026-01-31'")
            return Value(f"{word.upper()} {text}", size=30, literal=text)
        if token.kind == "word" and word == "interval" and self.next.kind in ("text", "number"):
            return self._interval()
        if token.kind == "word" and self._is("("):
            return self._call(token.text)
        if token.kind == "word" and word not in KEYWORDS:
            return self._name(token.text)
        self._position -= 1
        return self.refuse("a field, a literal or an allowed function; subqueries are not allowed")

    def _name(self, text: str) -> Value:
        name = text[1:-1].replace("``", "`") if text.startswith("`") else text
        if name.startswith("__") or name.lower() == "_metadata":
            raise ExpressionError(f"{name!r} is no field of the reader: __ begins names of the pipeline's own")
        return Value(_quoted(text), growth=1, names=frozenset({name.lower()}))

    def _interval(self) -> Value:
        number = self._take()
        count = text_of(number.text) if number.kind == "text" else number.text
        unit = self._take().text.lower()
        if not re.fullmatch(r"-?\d{1,6}", count) or unit.removesuffix("s") not in UNITS:
            raise ExpressionError(f"found INTERVAL {number.text} {unit}; expected one such as INTERVAL 2 HOURS")
        return Value(f"INTERVAL '{count}' {unit.upper()}", size=20, literal=count)

    def _case(self) -> Value:
        of = None if self._is("when") else self.expression(0)
        sql, conditions, results = f"CASE {of.sql if of else ''}", [of] if of else [], []
        while self._accept("when"):
            conditions.append(self.expression(0))
            self._expect("then")
            results.append(self.expression(0))
            sql += f" WHEN {conditions[-1].sql} THEN {results[-1].sql}"
        if not results:
            self.refuse("'WHEN'")
        if self._accept("else"):
            results.append(self.expression(0))
            sql += f" ELSE {results[-1].sql}"
        self._expect("end")
        names = total("", [*conditions, *results]).names
        return replace(longest(f"{sql} END", results), names=names)

    def _type(self) -> str:
        word = self._take().text.lower()
        if word in SCALAR_TYPES:
            return word.upper()
        if word in ("decimal", "numeric"):
            if not self._accept("("):
                return "DECIMAL"
            sizes = self._list(lambda: self.expression(0))
            if len(sizes) > 2 or not all((one.literal or "").isdecimal() for one in sizes):
                raise ExpressionError("expected a type such as DECIMAL(18, 6)")
            return f"DECIMAL({', '.join(one.sql for one in sizes)})"
        parts = {"array": 1, "map": 2}.get(word)
        if not parts:
            raise ExpressionError(f"{word.upper()!r} is no allowed type; expected STRING, BIGINT, DOUBLE, ...")
        self._expect("<")
        inner = self._type()
        if parts == 2:
            self._expect(",")
            inner += f", {self._type()}"
        self._expect(">")
        return f"{word.upper()}<{inner}>"

    def _list(self, one: Callable[[], Value]) -> list[Value]:
        """Parse values with commas between them, up to the closing parenthesis."""
        values: list[Value] = []
        if self._accept(")"):
            return values
        while True:
            values.append(one())
            if self._accept(")"):
                return values
            if not self._accept(","):
                self.refuse("',' or ')'")

    def _call(self, text: str) -> Value:
        name = text.lower()
        if name not in ALLOWED:
            raise ExpressionError(f"the function {text!r} is not allowed; allowed are {', '.join(sorted(ALLOWED))}")
        self._expect("(")
        has_lambda = name in LAMBDA_FUNCTIONS
        arguments = self._list(lambda: self._argument(is_lambda_allowed=has_lambda))
        require_arguments(name, arguments)
        return called(name, arguments)

    def _argument(self, is_lambda_allowed: bool) -> Value:
        """Parse an argument: a value, or `t -> value` or `(t, number) -> value`."""
        ahead = [token.text for token in self._tokens[self._position : self._position + 6]]
        if ahead[1:2] == ["->"]:
            parameters, length = ahead[:1], 2
        elif ahead[:1] == ["("] and ahead[2:3] == [","] and ahead[4:6] == [")", "->"]:
            parameters, length = [ahead[1], ahead[3]], 6
        else:
            return self.expression(0)
        if not is_lambda_allowed or not all(re.fullmatch(r"[^\W\d_]\w*", one) for one in parameters):
            self.refuse(f"a value: only {', '.join(sorted(LAMBDA_FUNCTIONS))} take a function with ->")
        self._position += length
        body = self.expression(0)
        own = frozenset(one.lower() for one in parameters)
        # The parameters stay among the names: `called` sees which other names the body reads.
        named = ", ".join(_quoted(one) for one in parameters)
        sql = f"({named})" if len(parameters) > 1 else named
        return replace(body, sql=f"{sql} -> {body.sql}", literal="\0".join(sorted(own)))


def _quoted(name: str) -> str:
    return name if name.startswith("`") else f"`{name}`"


def _literal_text(text: str) -> Value:
    value = text_of(text)
    if SPECIAL_TIMES.match(value):
        raise ExpressionError(f"{text} may mean the time of the run in Spark; to compare texts, use LIKE {text}")
    return Value(text, size=len(value), literal=value)
