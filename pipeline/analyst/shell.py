"""An interactive SQL shell on one release, with history and completion by Python's own readline.

prompt_toolkit would do more, but nothing else in the lock file needs it.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import duckdb
from rich.console import Console
from rich.text import Text

from pipeline.analyst.query import require_one_select
from pipeline.analyst.release import NAMESPACE
from pipeline.analyst.render import as_rich
from pipeline.errors import InputError
from pipeline.escape import printable

HISTORY_LINES = 1000
PROMPT, CONTINUED = "throughline> ", "        ...> "
HELP = "End a statement with ; or an empty line. .tables lists tables and views, .quit or Ctrl-D ends, Ctrl-C cancels."


def run_shell(
    connection: duckdb.DuckDBPyConnection, console: Console, history: Path, read: Callable[[str], str] = input
) -> None:
    """Answer SELECT statements until `.quit` or the end of the input. An error is printed and ends no session.

    history: the file that keeps the lines between sessions. read: returns the next line, by a prompt.
    """
    words = completions(connection)
    console.print(HELP, markup=False)
    with _line_editing(words, history):
        for statement in _statements(read, console):
            if statement == ".tables":
                console.print(Text(", ".join(_names(connection))))
            elif statement.startswith("."):
                console.print(Text(f"unknown command {printable(statement)}. {HELP}"))
            else:
                _answer(connection, statement, console)


def completions(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return what the Tab key completes: tables, views, their columns, and keywords in capitals."""
    columns = connection.execute(
        "SELECT DISTINCT column_name FROM duckdb_columns() WHERE schema_name = ?", [NAMESPACE]
    ).fetchall()
    keywords = connection.execute(
        "SELECT upper(keyword_name) FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
    ).fetchall()
    return sorted({*_names(connection), *(name for (name,) in columns), *(name for (name,) in keywords)})


def matches(words: Sequence[str], typed: str) -> list[str]:
    """Return the words that begin with what is typed, whichever its case; the prefix `interest.` is kept."""
    prefix, _, last = typed.rpartition(".")
    prefix += "." if prefix else ""
    return [prefix + word for word in words if word.lower().startswith(last.lower())]


def _names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = ? ORDER BY view_name", [NAMESPACE]
    )
    return [name for (name,) in found.fetchall()]


def _statements(read: Callable[[str], str], console: Console) -> Iterator[str]:
    """Yield each statement and dot command, until `.quit` or the end of the input."""
    lines: list[str] = []
    while True:
        try:
            line = read(CONTINUED if lines else PROMPT).rstrip()
        except KeyboardInterrupt:
            console.print()
            lines = []
            continue
        except EOFError:
            console.print()
            return
        if not lines and line.strip() in (".quit", ".exit"):
            return
        if not lines and line.startswith("."):
            yield line.strip()
            continue
        is_end = line.endswith(";") or not line
        lines += [line] if line else []
        if is_end and lines:
            yield "\n".join(lines)
            lines = []


def _answer(connection: duckdb.DuckDBPyConnection, statement: str, console: Console) -> None:
    try:
        require_one_select(connection, statement)
        console.print(as_rich(connection.sql(statement).to_arrow_table()))
    except (duckdb.Error, InputError) as error:
        console.print(Text("\n".join(printable(line) for line in str(error).splitlines())))
    except KeyboardInterrupt:
        console.print("cancelled")


@contextlib.contextmanager
def _line_editing(words: Sequence[str], history: Path) -> Iterator[None]:
    """Complete words and keep the history during the block, where this Python has readline."""
    try:
        import readline
    except ImportError:  # a Python on Windows has none
        yield
        return
    before = readline.get_completer(), readline.get_completer_delims()
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_completer(lambda typed, number: dict(enumerate(matches(words, typed))).get(number))
    readline.set_completer_delims(" \t\n,;()=<>+-*/'\"")
    readline.parse_and_bind(_binding(readline))
    try:
        yield
    finally:
        readline.set_completer(before[0])
        readline.set_completer_delims(before[1])
        readline.set_history_length(HISTORY_LINES)
        with contextlib.suppress(OSError):
            readline.write_history_file(history)


def _binding(readline: ModuleType) -> str:
    is_editline = "libedit" in (readline.__doc__ or "")  # macOS
    return "bind ^I rl_complete" if is_editline else "tab: complete"
