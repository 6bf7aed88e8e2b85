"""Only an allow-list of functions over the reader's own fields passes as an expression of a TOML."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.sources.expressions import parse, to_sql
from pipeline.sources.functions import ALLOWED, LITERAL_ARGUMENTS
from pipeline.sources.schema import load_source
from pipeline.sources.values import ExpressionError
from pipeline.transforms.canonical import expression
from pipeline.transforms.rows import frame_of_rows

TOML = """
name = "shop"
[reader]
format = "jsonl"
fields = "item STRING, at STRING, tags ARRAY<STRING>, geo STRUCT<city: STRING, user: STRING>, price DECIMAL(9, 2)"
[columns]
user_id = "item"
event_at = "to_timestamp(at)"
event_type = "'view'"
url = {url}
[event_types.view]
as = "view"
"""

# Each with a part of the message that names what is wrong.
ATTACKS = {
    "(SELECT first(value) FROM text.`/home/pseudonym.key`)": "subqueries are not allowed",
    "item IN (SELECT value FROM text.`/etc/passwd`)": "subqueries are not allowed",
    "exists(SELECT 1)": "subqueries are not allowed",
    "coalesce(item, (select item from interest.events limit 1))": "subqueries are not allowed",
    "(WITH a AS (SELECT 1) SELECT * FROM a)": "found 'a'",
    "(VALUES (1))": "the function 'VALUES' is not allowed",
    "(TABLE events)": "found 'events'",
    "reflect('java.lang.System', 'getenv', item)": "the function 'reflect' is not allowed",
    "ReFlEcT('java.lang.System', 'exit', 1)": "the function 'ReFlEcT' is not allowed",
    "java_method('java.lang.Runtime', 'getRuntime')": "the function 'java_method' is not allowed",
    "try_reflect('java.lang.System', 'getenv', item)": "the function 'try_reflect' is not allowed",
    "system.builtin.reflect('java.lang.System', 'getenv')": "without a catalog or a database",
    "`reflect`('java.lang.System', 'getenv', item)": "named without backticks",
    "`system`.`builtin`.`reflect`('a', 'b')": "without a catalog or a database",
    "IDENTIFIER('reflect')('java.lang.System', 'getenv')": "the function 'IDENTIFIER' is not allowed",
    "EXECUTE IMMEDIATE 'SELECT 1'": "found 'IMMEDIATE'",
    "rand()": "the function 'rand' is not allowed",
    "uuid()": "the function 'uuid' is not allowed",
    "monotonically_increasing_id()": "the function 'monotonically_increasing_id' is not allowed",
    "now()": "the function 'now' is not allowed",
    "current_timestamp": "'current_timestamp' is no field of the reader",
    "concat(item, CURRENT_USER)": "'current_user' is no field of the reader",
    "user": "'user' is no field of the reader",
    "`user`": "'user' is no field of the reader",
    "unix_timestamp()": "names no field",
    "to_timestamp('now')": "may mean the time of the run",
    "cast('ToDay UTC' AS DATE)": "may mean the time of the run",
    "to_timestamp(at) > '\\u006eow'": "may mean the time of the run",
    "to_timestamp(at) > '\\156ow'": "may mean the time of the run",
    "to_timestamp(at) > concat('no', 'w')": "'concat' names no field",
    "to_timestamp(at) > 'no' || 'w'": "'||' names no field",
    "TIMESTAMP 'now'": "expected a day such as DATE",
    "row_number() OVER (ORDER BY item)": "the function 'row_number' is not allowed",
    "lower(item) OVER (PARTITION BY item)": "found 'OVER'",
    "max(item) FILTER (WHERE true)": "the function 'max' is not allowed",
    "lower(item) FILTER (WHERE true)": "found 'FILTER'",
    "raise_error(item)": "the function 'raise_error' is not allowed",
    "assert_true(item = 'a')": "the function 'assert_true' is not allowed",
    "url_decode(item)": "the function 'url_decode' is not allowed",
    "from_json(item, 'a INT', map('mode', 'FAILFAST'))": "allowed are at most 2",
    "item RLIKE at": "expected literal text after RLIKE",
    "split(item, at)": "argument 2 of 'split' comes from the line",
    "date_format(to_timestamp(at), item)": "argument 2 of 'date_format' comes from the line",
    "element_at(tags, 0)": "is 0",
    "repeat(item, 100000000)": "the function 'repeat' is not allowed",
    "space(1000000000)": "the function 'space' is not allowed",
    "lpad(item, 1000000000, 'x')": "allowed are up to 1,000 characters",
    "sequence(1, 1000000000)": "the function 'sequence' is not allowed",
    "array_repeat(item, 1000000000)": "the function 'array_repeat' is not allowed",
    "aggregate(tags, item, (all, one) -> concat(all, all))": "the function 'aggregate' is not allowed",
    "replace(replace(item, 'a', 'aaaaaaaaaaaaaaaa'), 'a', 'aaaaaaaaaaaaaaaa')": "times as long as the line",
    "regexp_replace(regexp_replace(item, '', 'aaaaaaaaaa'), '', 'aaaaaaaaaa')": "times as long as the line",
    "hex(hex(hex(hex(hex(hex(hex(item)))))))": "times as long as the line",
    "transform(split(item, ''), one -> item)": "reads item; allowed are its own parameters",
    "transform(split(item, ''), one -> concat(one, '" + "x" * 200 + "'))": "times as long as the line",
    "explode(tags)": "the function 'explode' is not allowed",
    "struct(*)": "found '*'",
    "to_json(struct(__text))": "'__text' is no field of the reader",
    "`__text`": "'__text' is no field of the reader",
    "_metadata.file_path": "'_metadata' is no field of the reader",
    "item /* a comment */": "a comment '/*' is not allowed",
    "item -- a comment": "a comment '--' is not allowed",
    "item; DROP TABLE events": "'; DROP",
    "{fn reflect('a', 'b')}": "{fn reflect(",
    ":parameter": "':parameter'",
    "lower(str => item)": "found '>'",
    "R'raw' || item": "found \"'raw'\"",
    "item COLLATE UNICODE": "found 'COLLATE'",
    "cast(item AS INTERVAL)": "'INTERVAL' is no allowed type",
    "'a' 'b'": "found \"'b'\"",
    "lower(item": "expected ',' or ')'",
    "item =": "subqueries are not allowed",
    "(" * 50 + "item" + ")" * 50: "nested more than 40 deep",
    "concat(item" + ", item" * 2000 + ")": "allowed are 4,000",
    "concat(item" + ", item" * 200 + ")": "times as long as the line",
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Return the function that writes a TOML whose `url` is an expression."""

    def write(url: str) -> Path:
        file = tmp_path / "shop.toml"
        quoted = '"' + url.replace("\\", "\\\\").replace('"', '\\"') + '"'
        file.write_text(TOML.replace("{url}", quoted), encoding="utf-8")
        return file

    return write


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda text: text[:60])
def test_an_attack_is_refused_with_source_column_and_what_is_wrong(written, attack: str) -> None:
    with pytest.raises(SourceError) as caught:
        load_source(written(attack))
    message = str(caught.value)
    assert "shop.toml: key 'columns.url' = " in message and ATTACKS[attack] in message
    assert len(message) < 3_000


def test_a_refused_function_is_answered_by_the_allowed_ones() -> None:
    with pytest.raises(ExpressionError, match=r"'reflect' is not allowed; allowed are abs, .*coalesce, .*year"):
        parse("reflect(item)")


def test_of_all_functions_of_spark_only_the_allowed_pass(spark) -> None:
    functions = {row.function for row in spark.sql("SHOW FUNCTIONS").collect()}
    named = {name for name in functions if re.fullmatch(r"\w+", name)}
    assert len(named) > 400 and ALLOWED - {"epoch"} <= named
    operators = {"and", "between", "case", "div", "in", "not", "or", "regexp", "when", "cast"}
    for name in named - operators - ALLOWED:
        with pytest.raises(ExpressionError, match=f"{name!r} is not allowed"):
            to_sql(f"{name}(item)")
    for name in ALLOWED - {"concat_ws", "date_trunc", "lpad", "map", "rpad"}:  # these need literals
        to_sql(f"{name}(item)")


def test_allowed_functions_are_scalar_and_deterministic_for_spark(spark) -> None:
    """Spark groups its functions; those that read the environment, fail on purpose or see other rows are in others."""
    catalyst = spark._jvm.org.apache.spark.sql.catalyst
    registry = catalyst.analysis.FunctionRegistry.builtin()
    groups = {}
    for name in ALLOWED - {"epoch"}:
        info = registry.lookupFunction(catalyst.FunctionIdentifier(name)).get()
        groups[name] = info.getGroup()
    wanted = {
        "string_funcs", "conditional_funcs", "math_funcs", "datetime_funcs", "array_funcs", "map_funcs", "json_funcs",
        "collection_funcs", "lambda_funcs", "conversion_funcs", "predicate_funcs", "struct_funcs", "hash_funcs",
        "url_funcs",
    }  # fmt: skip
    assert {name: group for name, group in groups.items() if group not in wanted} == {}
    assert set(LITERAL_ARGUMENTS) <= ALLOWED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4", 3), ("(1 + 2) * 3", 9), ("-2 * -3", 6), ("7 div 2", 3), ("7 % 4 = 3", True),
        ("NOT item = 'a'", True), ("item = 'x' OR item = 'it' AND false", False), ("!(item = 'x')", True),
        ("item IN ('a', 'it''s') AND item NOT IN ('b')", True), ("item BETWEEN 'a' AND 'z' AND true", True),
        ("item LIKE 'it%' AND item NOT LIKE 'today'", True), ("item RLIKE '^it.s$'", True), ("item IS NOT NULL", True),
        ("nothing <=> NULL", True), ("item::STRING || '!'", "it's!"), ('concat(item, "\\"", \'\\n\')', "it's\"\n"),
        ("CASE WHEN item = 'a' THEN 1 WHEN nothing IS NULL THEN 2 ELSE 3 END", 2),
        ("CASE item WHEN 'a' THEN 'b' ELSE 'c' END", "c"), ("tags[1]", "y"), ("`odd name`.`in`", "deep"),
        ("filter(tags, t -> t <> item AND t = 'x')[0]", "x"), ("transform(tags, (t, n) -> concat(t, n))", ["x0", "y1"]),
        ("size(array_distinct(array('a', 'a')))", None),
        ("date '2026-01-31' + INTERVAL 2 days > DATE '2026-02-01'", True),
        ("cast(cast(number AS DECIMAL(18, 2)) AS STRING)", "7.50"), ("from_json('[1, 2]', 'ARRAY<INT>')[0]", None),
        ("from_json(list, 'ARRAY<STRUCT<a: STRING>>')[0].a", "b"), ("date", "2026"), ("order", "first"),
        ("if(number > 6, item, 'no')", "it's"), ("cast(epoch(number) AS BIGINT)", 7), ("left(item, 2)", "it"),
    ],
)  # fmt: skip
def test_what_is_allowed_means_what_it_means_in_spark(text: str, expected: object, spark) -> None:
    row = frame_of_rows(
        spark,
        [("it's", ["x", "y"], None, ("deep",), "7.5", '[{"a": "b"}]', "2026", "first")],
        "item STRING, tags ARRAY<STRING>, nothing STRING, `odd name` STRUCT<`in`: STRING>, number STRING, list STRING, "
        "date STRING, order STRING",
    )
    if expected is None:
        with pytest.raises(ExpressionError, match="names no field"):
            to_sql(text)
        return
    assert row.select(expression(text).alias("value")).head().value == expected
