"""Quality gates: Great Expectations suites, checked at the end of a step.

A suite is `suites/<name>.json`: a list of rules, each with `meta.why`, which the failure message quotes.
"""

import json
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from pipeline.errors import GateError, InputError

SUITES = Path(__file__).parent / "suites"


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule of a suite."""

    rule: str
    is_passed: bool
    broken_count: int
    row_count: int
    why: str


def load_in_background() -> None:
    """Import Great Expectations in a thread: it takes seconds, in which Spark starts in another process."""
    threading.Thread(target=_great_expectations, daemon=True, name="gates").start()


def check(frame: DataFrame, suite: str) -> list[RuleResult]:
    """Check a frame against a suite; return one result per rule.

    Raises GateError quoting the rule, the count and its why if a rule is broken.
    Raises InputError if a rule of the suite cannot be built or was not run: a typo must not disable a check.
    """
    rules = load_suite(suite)
    # Great Expectations keeps the frame in memory, so it gets only the columns of the rules.
    results = _validate(frame.select(*_columns(rules, frame)), suite, rules)
    if len(results) != len(rules):
        raise InputError(f"suite {suite}: {len(rules)} rules declared, but {len(results)} run; is a name misspelt?")
    broken = [result for result in results if not result.is_passed]
    if broken:
        lines = [f"  {one.rule}: {one.broken_count} of {one.row_count} rows. {one.why}" for one in broken]
        raise GateError(
            "\n".join([f"{suite}: {len(broken)} broken of {len(rules)} rules; nothing was published", *lines])
        )
    return results


def load_suite(suite: str) -> list[dict[str, Any]]:
    """Read the rules of a suite. Raises InputError if one has no `why`."""
    file = SUITES / f"{suite}.json"
    rules: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    for rule in rules:
        if not rule.get("meta", {}).get("why"):
            raise InputError(f"{file}: {rule.get('type')} has no meta.why: each rule must give its reason")
    return rules


def _columns(rules: list[dict[str, Any]], frame: DataFrame) -> list[str]:
    """Return the columns of the frame that the rules name. A missing one is an error later, when its rule runs."""
    named = set()
    for rule in rules:
        kwargs = rule["kwargs"]
        single = {kwargs.get(key) for key in ("column", "column_A", "column_B")}
        named |= single | set(kwargs.get("column_list", []))
    return [name for name in frame.columns if name in named]


def _validate(frame: DataFrame, suite: str, rules: list[dict[str, Any]]) -> list[RuleResult]:
    gx = _great_expectations()
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    try:
        expectations = [ExpectationConfiguration(**rule).to_domain_obj() for rule in rules]
    except Exception as error:  # GX raises errors of many types for an unknown rule
        raise InputError(f"suite {suite}: a rule cannot be built: {error}") from error
    source = context.data_sources.add_spark(suite)
    batch = (
        source.add_dataframe_asset(suite).add_batch_definition_whole_dataframe(suite).get_batch({"dataframe": frame})
    )
    outcome = batch.validate(gx.ExpectationSuite(name=suite, expectations=expectations), result_format="SUMMARY")
    return [_result(one) for one in outcome.results]


def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return great_expectations


def _result(outcome: Any) -> RuleResult:
    configuration, result = outcome.expectation_config, outcome.result
    kwargs = {key: value for key, value in configuration.kwargs.items() if key != "batch_id"}
    column = kwargs.get("column") or "+".join(kwargs.get("column_list", [])) or kwargs.get("column_A") or "rows"
    exception = next(iter(outcome.exception_info.values()), None) if outcome.exception_info else None
    if isinstance(exception, dict) and exception.get("raised_exception"):
        raise InputError(f"{configuration.type}({column}) could not be run: {exception.get('exception_message')}")
    return RuleResult(
        rule=f"{configuration.type}({column})",
        is_passed=bool(outcome.success),
        broken_count=int(result.get("unexpected_count") or 0),
        row_count=int(result.get("element_count") or 0),
        why=configuration.meta["why"],
    )
