"""The interactive SQL shell: statements, errors, completion and history."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.analyst.connect import connect_to_catalog
from pipeline.analyst.shell import completions, matches, run_shell


def session(night: Any, tmp_path: Path, *lines: str | type[BaseException]) -> str:
    """Return what a session prints that types these lines; an exception is a key such as Ctrl-C."""
    typed: Iterator[str | type[BaseException]] = iter(lines)

    def read(prompt: str) -> str:
        line = next(typed, EOFError)
        if isinstance(line, str):
            return line
        raise line

    console = Console(width=200, color_system=None, file=io.StringIO())
    with connect_to_catalog(night.catalog) as connection:
        run_shell(connection, console, tmp_path / "history", read)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_statement_goes_over_lines_until_a_semicolon_or_an_empty_line(night: Any, tmp_path: Path) -> None:
    for end in (["FROM events;"], ["FROM events", ""]):
        found = session(night, tmp_path, "SELECT count(*) AS n", *end)
        assert "│ 5 │" in found and "1 row" in found


def test_an_error_ends_no_session(night: Any, tmp_path: Path) -> None:
    found = session(night, tmp_path, "SELECT x FROM nowhere;", "DROP VIEW events;", ".what", "SELECT 7 AS n;")
    assert "Table with name nowhere does not exist!" in found
    assert "expected one SELECT, found DROP" in found
    assert "unknown command .what" in found
    assert "│ 7 │" in found


def test_ctrl_c_drops_the_unfinished_statement(night: Any, tmp_path: Path) -> None:
    found = session(night, tmp_path, "SELECT nothing", KeyboardInterrupt, "SELECT 7 AS n;")
    assert "│ 7 │" in found and "nothing" not in found


def test_tables_are_listed_and_quit_ends(night: Any, tmp_path: Path) -> None:
    found = session(night, tmp_path, ".tables", ".quit", "SELECT 7 AS n;")
    assert "current_profiles, events, interest_movers" in found
    assert "7" not in found


def test_an_error_cannot_control_the_terminal(night: Any, tmp_path: Path) -> None:
    assert "\x1b" not in session(night, tmp_path, 'SELECT "\x1b[31m" FROM events;')


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("tag_a", "tag_audience"), ("interest.tag_a", "interest.tag_audience"), ("AFFIN", "affinity"), ("sel", "SELECT")],
)
def test_tab_completes_tables_views_columns_and_keywords(night: Any, typed: str, expected: str) -> None:
    with connect_to_catalog(night.catalog) as connection:
        assert expected in matches(completions(connection), typed)


def test_the_history_is_kept_between_sessions(night: Any, tmp_path: Path) -> None:
    readline = pytest.importorskip("readline")
    readline.clear_history()
    (tmp_path / "history").write_text("SELECT 42;\n")
    session(night, tmp_path, ".quit")
    assert "SELECT 42;" in (tmp_path / "history").read_text()
