"""Quality gates: Great Expectations judges the figures of every suite, and writes its Data Docs.

Spark counts the rows and the broken rows (`figures.py`). Great Expectations validates these counts, a table of one row,
so its cost does not grow with the data.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import GateError, InputError
from pipeline.files import write_whole
from pipeline.quality.figures import Figure, Suite, examples, load_suite, measure

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LABELS = {"broken": "broken rows", "share": "share of broken rows"}  # of the figures, as Data Docs show them


def check(written: Mapping[str, "DataFrame"], title: str, page: Path) -> list[Figure]:
    """Check what a run wrote; return a figure for each rule of all suites. Print the broken rules that only warn.

    written: rows by suite. title: heading of the Data Docs, which are written to `page` also if a rule is broken.

    Raises GateError quoting each broken rule with its counts, broken rows, its why and the commands to type.
    Raises InputError if a rule cannot be computed or built, or was not run: a typo must not disable a check.
    """
    suites = {name: load_suite(name) for name in written}
    figures = measure(written, list(suites.values()))
    is_passed = judge(figures, title, page)
    print(f"figures of all rules: {page}", flush=True)
    failed = [figure for figure in figures if not is_passed[figure.name]]
    warnings = [figure for figure in failed if figure.rule.severity == "warning"]
    for figure in warnings:
        print(f"warning: {_broken_line(figure, written[figure.suite], suites[figure.suite]).strip()}", flush=True)
    broken = [figure for figure in failed if figure not in warnings]
    if broken:
        counts = Counter(figure.suite for figure in broken)
        of_suites = [f"{name}: {count} broken of {len(suites[name].rules)} rules" for name, count in counts.items()]
        lines = [_broken_line(figure, written[figure.suite], suites[figure.suite]) for figure in broken]
        raise GateError("\n".join([f"{', '.join(of_suites)}; nothing was published", *lines]))
    return [replace(figure, is_warning=figure in warnings) for figure in figures]


def _broken_line(figure: Figure, rows: "DataFrame", suite: Suite) -> str:
    """Return what a message says of a broken rule: its counts, its why, broken rows and the commands to type."""
    found = examples(rows, suite, figure.rule)
    shown = [one[0] for one in found]
    if figure.rule.shown:
        more = f"; and {figure.broken_count - len(shown)} more" if figure.broken_count > len(shown) else ""
        lines = [f"  {figure.name}: {'; '.join(shown)}{more}. {figure.rule.why}"]
    else:
        counts = f"{figure.broken_count} of {figure.row_count} rows"
        lines = [f"  {figure.name}: {counts}. {figure.rule.why}", f"    such as {', '.join(shown)}"]
    return "\n".join([*lines, *dict.fromkeys(f"    {step}" for one in found for step in one[1:])])


def judge(figures: Sequence[Figure], title: str, page: Path) -> dict[str, bool]:
    """Let Great Expectations validate the figures; return by name whether each passed. Write its Data Docs to `page`.

    Raises InputError if an expectation cannot be built or was not run.
    """
    gx = load_great_expectations()
    import pandas as pd
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    expectations: list[Any] = []
    counts: dict[str, float] = {}
    for figure in figures:
        name, expect = figure.name, figure.rule.expect
        counts |= {f"{name}: {LABELS['broken']}": figure.broken_count, f"{name}: {LABELS['share']}": figure.share}
        limits = {key: value for key, value in expect["kwargs"].items() if key != "column"}
        count = expect["kwargs"].get("column")
        column = f"{name}: {LABELS.get(count, count)}"
        prefix = "warning: " if figure.rule.severity == "warning" else ""
        # Data Docs show the description instead of the words of GX, so it repeats the limits.
        configuration = ExpectationConfiguration(
            expect["type"],
            {"column": column, **limits},
            meta={"rule": name},
            description=f"{prefix}{figure.rule.why} ({figure.row_count:,} rows; {limits})",
            severity=FailureSeverity(figure.rule.severity),
        )
        try:
            expectations.append(configuration.to_domain_obj())
        except Exception as error:  # GX raises errors of many types for an unknown expectation
            raise InputError(
                f"suite {figure.suite}: a rule cannot be built: {name}: {' '.join(str(error).split())}"
            ) from error
    frame = pd.DataFrame([counts], dtype=object)  # GX cannot render the numbers of NumPy
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    table = context.data_sources.add_pandas("figures").add_dataframe_asset("figures")
    batch = table.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    outcome = batch.validate(gx.ExpectationSuite(name=title, expectations=expectations), result_format="SUMMARY")
    _write_page(outcome, page)
    is_passed = {one.expectation_config.meta["rule"]: _is_passed(one) for one in outcome.results}
    if len(is_passed) != len(figures):
        raise InputError(f"{title}: {len(figures)} rules declared, but {len(is_passed)} run; is a name misspelt?")
    return is_passed


def _is_passed(outcome: Any) -> bool:
    """Return whether an expectation holds. Raises InputError if Great Expectations could not test it."""
    for exception in (outcome.exception_info or {}).values():
        if isinstance(exception, dict) and exception.get("raised_exception"):
            name = outcome.expectation_config.meta["rule"]
            raise InputError(f"{name} could not be run: {exception.get('exception_message')}")
    return bool(outcome.success)


def _write_page(outcome: Any, page: Path) -> None:
    """Write the result as a page of Data Docs. It replaces the page of an earlier run of the day."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    content = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(outcome), "page_minimal.j2")
    write_whole(page, content)


def load_great_expectations() -> Any:
    """Import Great Expectations, which takes seconds, and return it: no messages, nothing sent to its makers."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return great_expectations
