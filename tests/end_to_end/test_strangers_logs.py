"""Logs of strangers: a case is `tests/cases/logs/<shape>/`, a shape of log that people report trouble with.

A case holds the log, `source.toml`, and `expect.toml`: the situation, where people report it, and checks in SQL on what
a night publishes. Files in a folder named after a day land after the run of all others. All cases
live in one home, since logs of many sources must not disturb each other.
"""

import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.analyst.query import query
from pipeline.pseudonyms import pseudonym
from pipeline.sources.schema import Source, load_source
from tests.bench.tiny_homes import KEY

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

pytestmark = pytest.mark.end_to_end

CASES = sorted(folder for folder in (Path(__file__).parents[1] / "cases" / "logs").iterdir() if folder.is_dir())
FIRST_RANGE = ("2017-11-01", "2026-03-01")  # the days that hold lines run, and none of the years between
SECOND_RANGE = ("2026-03-02", "2026-03-03")


def tomls(case: Path) -> list[Path]:
    """Return the TOMLs of a case: `source.toml`, and more where it has several sources."""
    return sorted(file for file in case.glob("*.toml") if file.name != "expect.toml")


def logs(case: Path, toml: Path, folder: str) -> list[Path]:
    """Return the files of a source in a folder of its case. A name of several sources begins its files."""
    several = len(tomls(case)) > 1
    return [
        file
        for file in sorted((case / folder).glob("*"))
        if file.is_file() and file.suffix != ".toml" and (not several or file.name.startswith(load_source(toml).name))
    ]


@pytest.fixture(scope="module")
def published(own_installation: Any) -> "Catalog":
    """All cases landed, and two ranges run: the second one goes on from the first. Return the catalog."""
    for (first, last), folders in ((FIRST_RANGE, [""]), (SECOND_RANGE, SECOND_RANGE)):
        landings = [(toml, logs(case, toml, folder)) for folder in folders for case in CASES for toml in tomls(case)]
        own_installation.do_all([["land", "--source", toml, *files] for toml, files in landings if files])
        own_installation.do("run", "--from", first, "--to", last)
    return own_installation.catalog()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_log_gives_what_its_case_expects(case: Path, published: "Catalog") -> None:
    sources = [load_source(toml) for toml in tomls(case)]
    expected = tomllib.loads((case / "expect.toml").read_text(encoding="utf-8"))
    assert expected["situation"] and expected["seen"] and expected["check"]
    for check in expected["check"]:
        found = query(with_pseudonyms(check["sql"], sources), published).to_pylist()
        rows = [[as_toml(value) for value in row.values()] for row in found]
        wanted = [[with_pseudonyms(value, sources) for value in row] for row in check["rows"]]
        assert rows == wanted, check["why"]


def with_pseudonyms(value: Any, sources: list[Source]) -> Any:
    """Return a text with the pseudonym of ID in place of {ID}, or in place of {SOURCE:ID} where there are several."""
    if not isinstance(value, str):
        return value
    for source in sources:
        prefix = "{" + (f"{source.name}:" if len(sources) > 1 else "user:")
        while prefix in value:
            before, _, rest = value.partition(prefix)
            user, _, after = rest.partition("}")
            value = before + pseudonym(source.user_space, user, KEY.encode()) + after
    return value


def as_toml(value: Any) -> Any:
    """Return a value as expect.toml writes it: times and days as text, times in UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else value
