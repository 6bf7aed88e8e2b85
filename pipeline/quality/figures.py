"""Suites of quality rules, and their figures: how many of the rows that a run wrote break each rule.

A suite is `suites/<name>.json`:

- `key`: a Spark SQL expression on the `unique` columns that names a row in messages. It must not show a raw user id.
- `rules`: each has a `rule` (its name), a `why`, and either `broken`, a Spark SQL condition that is true for a broken
  row, or `unique`, the columns that must differ between rows. `expect` is the expectation of Great Expectations on the
  figures `broken` (broken rows) and `share` (of all rows); without it, no row may be broken. `severity` is `critical`,
  the default, or `warning`: a broken rule is then reported, but does not stop the publication. `shown` is a Spark SQL
  expression that describes a broken row in messages, instead of `key`; `next_steps` are such expressions of the
  commands to type.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline.errors import InputError
from pipeline.transforms.union import union

SUITES = Path(__file__).parent / "suites"
EXAMPLES = 3  # broken rows that a message names
SEVERITIES = ("critical", "warning")


def _no_broken_row() -> Mapping[str, Any]:
    return {"type": "expect_column_max_to_be_between", "kwargs": {"column": "broken", "max_value": 0}}


@dataclass(frozen=True)
class Rule:
    """A rule of a suite; see above."""

    rule: str
    why: str
    broken: str = ""
    unique: Sequence[str] = ()
    expect: Mapping[str, Any] = field(default_factory=_no_broken_row)
    severity: Literal["critical", "warning"] = "critical"
    shown: str = ""
    next_steps: Sequence[str] = ()


@dataclass(frozen=True)
class Suite:
    """The rules of one table."""

    name: str
    key: str
    rules: Sequence[Rule]


@dataclass(frozen=True)
class Figure:
    """How many of the rows break a rule. is_warning: whether the rule is broken and only warns."""

    suite: str
    rule: Rule
    broken_count: int
    row_count: int
    is_warning: bool = False

    @property
    def name(self) -> str:
        return f"{self.suite}: {self.rule.rule}"

    @property
    def share(self) -> float:
        """Share of broken rows, 0 if there are no rows."""
        return self.broken_count / self.row_count if self.row_count else 0.0


def load_suite(name: str) -> Suite:
    """Read a suite. Raises InputError, naming file and rule, if a rule lacks a part or has an unknown one."""
    file = SUITES / f"{name}.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for rule in content["rules"]:
        if not rule.get("why"):
            raise InputError(f"{file}: rule `{rule.get('rule')}` has no why: each rule must give its reason")
        if bool(rule.get("broken")) == bool(rule.get("unique")):
            raise InputError(f"{file}: rule `{rule.get('rule')}` must have one of `broken` and `unique`")
        if rule.get("severity", "critical") not in SEVERITIES:
            raise InputError(f"{file}: rule `{rule.get('rule')}`: severity must be one of {', '.join(SEVERITIES)}")
    try:
        return Suite(name, content["key"], [Rule(**rule) for rule in content["rules"]])
    except TypeError as error:
        raise InputError(f"{file}: a rule has an unknown key: {error}") from error


def measure(rows: Mapping[str, DataFrame], suites: Sequence[Suite]) -> list[Figure]:
    """Count the rows and the broken rows of each rule, in one query for all suites; return them in this order.

    rows: those of each suite, by its name. Keys are compared by hash, which saves a third of the CPU; only where hashes
    are equal, the keys are counted too.

    Raises InputError, naming suite and rule, if rows lack a column of a rule or a condition is no Spark SQL.
    """
    try:
        found = union([_counts(rows[suite.name], suite) for suite in suites]).collect()
    except AnalysisException as error:
        raise _unknown_column(rows, suites) or error from error
    counts = {row.suite: (row.row_count, row.broken) for row in found}
    figures = []
    for suite in suites:
        row_count, broken = counts[suite.name]
        for rule, count in zip(suite.rules, broken, strict=True):
            if rule.unique and count:
                count = _copies(rows[suite.name], *rule.unique).agg(F.sum("row_count")).collect()[0][0]
            figures.append(Figure(suite.name, rule, count or 0, row_count))
    return figures


def examples(rows: DataFrame, suite: Suite, rule: Rule) -> list[list[str]]:
    """Return some rows that break a rule, each as its description, or its key, and the commands to type."""
    texts = [F.expr(text).cast("string") for text in (rule.shown or suite.key, *rule.next_steps)]
    broken = _copies(rows, *rule.unique) if rule.unique else rows.where(rule.broken)
    return [list(row.texts) for row in broken.select(F.array(*texts).alias("texts")).limit(EXAMPLES).collect()]


def _counts(rows: DataFrame, suite: Suite) -> DataFrame:
    """Return one row: `suite`, `row_count`, and `broken`, the number of broken rows of each rule in order."""
    names = [f"broken_{number}" for number in range(len(suite.rules))]
    rules = list(zip(names, suite.rules, strict=True))
    conditions = [F.count_if(F.expr(rule.broken)).alias(name) for name, rule in rules if rule.broken]
    counts = rows.agg(F.count("*").alias("row_count"), *conditions)
    for name, rule in rules:
        if rule.unique:
            copies = _copies(rows, F.xxhash64(*rule.unique))
            counts = counts.crossJoin(copies.agg(F.sum("row_count").alias(name)))
    return counts.select(F.lit(suite.name).alias("suite"), "row_count", F.array(*names).alias("broken"))


def _copies(rows: DataFrame, *columns: str | Column) -> DataFrame:
    """Return one row per group of equal rows: `row_count`, 2 or more."""
    return rows.groupBy(*columns).agg(F.count("*").alias("row_count")).where("row_count > 1")


def _unknown_column(rows: Mapping[str, DataFrame], suites: Sequence[Suite]) -> InputError | None:
    """Return the error of the first rule that Spark cannot analyse, if any."""
    for suite, rule in [(one, rule) for one in suites for rule in one.rules]:
        alone = Suite(suite.name, suite.key, [rule])
        try:
            _counts(rows[suite.name], alone).schema  # noqa: B018, Spark Connect analyses a plan when its schema is read
        except AnalysisException as error:
            reason = str(error).strip().splitlines()[0]
            return InputError(f"suite {suite.name}, rule `{rule.rule}` cannot be computed: {reason}")
    return None
