"""From the first lines of a log to its format and the counts of its columns; DuckDB's sniffers do the work.

`sniff_csv` finds separator, quotes and header, `read_json` the types of JSON lines.
"""

import csv
import json
import re
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from pipeline.errors import InputError
from pipeline.sources.column_stats import ColumnStats, column_stats, determines, quoted, with_fields_of_texts
from pipeline.sources.schema import BUILT_IN, load_source
from pipeline.sources.vocabulary import COLUMNS, USERS, plain_name

MOST = 0.8  # share of the lines that must have a format
KNOWN_NAMES = {name for names in COLUMNS.values() for name in names} | {name for tier in USERS for name in tier}
UNREADABLE = (
    "expected JSON lines, values between separators (such as a comma), Parquet, or the combined format of web servers; "
    'for another form of text write a TOML with a pattern: see format = "regex" in pipeline/sources/template.toml'
)


@dataclass(frozen=True)
class Layout:
    """How a log is split into columns.

    reader: the keys of [reader] but `columns` and `fields`. columns: one per value that an expression can name.
    fields: the Spark DDL of JSON lines and Parquet. evidence: the counts that speak for the format.
    is_headerless: the columns have no names of their own. built_in: the built-in source that reads such a log.
    named_by: what speaks for the names that a log without a header line was given.
    determines: counts for three columns, by position, how many values of the first have one value of the second.
    """

    reader: Mapping[str, Any]
    columns: Sequence[ColumnStats]
    evidence: str
    fields: str = ""
    is_headerless: bool = False
    built_in: str = ""
    named_by: Mapping[str, str] = field(default_factory=dict)
    determines: Callable[[int, int, int], tuple[int, int]] = field(default=lambda one, other, third: (0, 0))

    @property
    def rows(self) -> int:
        """The number of lines that were looked at."""
        return self.columns[0].rows if self.columns else 0


def sniff_lines(files: Mapping[str, Sequence[str]]) -> Layout:
    """Find the layout of text files by their first lines. files: lines by name, the header line included.

    Raises InputError if the lines have no format that is known, or if the files differ in it.
    """
    contents = {name: [line for line in lines if line.strip()] for name, lines in files.items()}
    lines = [line for own in contents.values() for line in own]
    if not lines:
        raise InputError(f"{', '.join(files)}: no lines; expected a log")
    is_comment = [line.startswith("#") for line in lines]
    rest = [line for line, skip in zip(lines, is_comment, strict=True) if not skip]
    if not rest:
        raise InputError(f"{', '.join(files)}: only comment lines (#...); expected a log")
    if sum(line.lstrip().startswith("{") for line in rest) >= MOST * len(rest):
        if sum(map(_has_several_objects, rest)) >= MOST * len(rest):
            raise InputError(
                f"{', '.join(files)}: its lines hold several JSON objects each; expected one object a line: convert it "
                f"first, such as with `jq -c .`"
            )
        layout = _json(rest)
        comment = {"comment": "#"} if len(rest) < len(lines) else {}
        return replace(layout, reader={**layout.reader, **comment})
    pattern = _python_pattern("combined")
    if (matched := sum(bool(pattern.match(line)) for line in rest)) >= MOST * len(rest):
        evidence = f"{matched:,} of {len(rest):,} lines match the pattern of the built-in source combined"
        return Layout({"format": "regex"}, [], evidence, built_in="combined")
    return _separated(contents)


def _has_several_objects(line: str) -> bool:
    try:
        _, end = json.JSONDecoder().raw_decode(line.strip())
    except ValueError:
        return False
    return line.strip()[end:].lstrip().startswith("{")


def _json(lines: Sequence[str]) -> Layout:
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as folder:
        file = _write(folder, lines)
        options = f"'{file}', format='newline_delimited', ignore_errors=true"
        found = connection.sql(
            f"DESCRIBE SELECT * FROM read_json({options}, sample_size=-1, maximum_depth=-1, map_inference_threshold=-1)"
        ).fetchall()
        kinds = {name: _as_text(kind) for name, kind, *_ in found}
        names = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': '{text}'" for name, (text, _) in kinds.items())
        connection.execute(f"CREATE TABLE sample AS SELECT * FROM read_json({options}, columns={{{names}}})")
        mixed = {name for name, (_, is_json) in kinds.items() if is_json}
        columns, fields = _typed(connection, mixed)
    evidence = f"{columns[0].rows:,} of {len(lines):,} lines are JSON objects"
    return Layout({"format": "jsonl"}, columns, evidence, fields)


def _as_text(kind: str) -> tuple[str, bool]:
    """Return a DuckDB type with text instead of each scalar, which keeps all digits; and whether it is mixed."""
    scalars = r'("NULL"|\bJSON\b|\bTIMESTAMP WITH TIME ZONE\b|\b(?!STRUCT\b)[A-Z][A-Z0-9_]*(\([0-9, ]+\))?(?=[,)\[]|$))'
    return re.sub(scalars, "VARCHAR", kind), kind == "JSON"


def _typed(connection: duckdb.DuckDBPyConnection, mixed: Collection[str]) -> tuple[list[ColumnStats], str]:
    """Return the columns of the table `sample`, those inside objects included, and the Spark DDL of the whole."""
    relation = connection.table("sample")
    leaves: list[tuple[tuple[str, ...], str, dict[str, bool]]] = []
    parts = []
    for name, kind in zip(relation.columns, relation.types, strict=True):
        parts.append(f"{quoted(name)} {_spark_type(kind)}")
        _leaves((name,), f'"{name}"', kind, leaves)
    select = ", ".join(f'CAST({value} AS VARCHAR) AS "c{number}"' for number, (_, value, _) in enumerate(leaves))
    connection.execute(f"CREATE TABLE leaves AS SELECT {select} FROM sample")
    columns = []
    for number, (path, _, kinds) in enumerate(leaves):
        stats = column_stats(connection, "leaves", f"c{number}", path, **kinds)
        if path[0] in mixed and any(value.startswith("[") for value in stats.top):
            stats = column_stats(connection, "leaves", f"c{number}", path, is_mixed=True)
        columns.append(stats)
    return with_fields_of_texts(connection, "leaves", columns), ", ".join(parts)


def _leaves(
    path: tuple[str, ...], value: str, kind: Any, found: list[tuple[tuple[str, ...], str, dict[str, bool]]]
) -> None:
    """Collect the values below a column: path, DuckDB expression, and what kind of list it is in."""
    if kind.id == "struct":
        for name, child in kind.children:
            _leaves((*path, name), f'{value}."{name}"', child, found)
    elif kind.id == "list" and kind.children[0][1].id == "struct":
        for name, child in kind.children[0][1].children:
            if child.id not in ("struct", "list"):
                found.append(((*path, name), f'{value}[1]."{name}"', {"in_list": True}))
    elif kind.id == "list":
        found.append((path, value, {"is_list": True}))
    else:
        found.append((path, value, {}))


def _spark_type(kind: Any) -> str:
    if kind.id == "struct":
        return f"STRUCT<{', '.join(f'{quoted(name)}: {_spark_type(child)}' for name, child in kind.children)}>"
    if kind.id == "list":
        return f"ARRAY<{_spark_type(kind.children[0][1])}>"
    return "STRING"


def _separated(files: Mapping[str, Sequence[str]]) -> Layout:
    """Find separator, quotes and header of the files together; lines that begin with # count as comments.

    A first line such as `sep=;`, by which spreadsheets name the separator, is a comment, too.
    """
    comment = "#"
    contents = {name: [line for line in lines if not line.startswith("#")] for name, lines in files.items()}
    first = next(lines for lines in contents.values() if lines)
    named = re.fullmatch("\ufeff?(sep=)(.)", first[0], re.IGNORECASE)
    if named and len(first) > 1:
        comment = named[1]
        contents = {name: [line for line in lines if line != first[0]] for name, lines in contents.items()}
        first = first[1:]
    comments = sum(len(lines) for lines in files.values()) - sum(len(lines) for lines in contents.values())
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect()
        fields_line = next((line for lines in files.values() for line in lines if line.startswith("#Fields:")), "")
        if fields_line:  # DuckDB tries no blanks, by which W3C logs separate values
            separator = "\t" if "\t" in first[0] else " "
            sniffed: dict[str, Any] = {"Delimiter": separator, "Quote": "" if separator == "\t" else '"', "Escape": ""}
        elif sum(bool(re.search(r"\t\{.*\}\s*(\t|$)", line)) for line in first) >= MOST * len(first):
            # An object after other values, as Fluentd writes it. DuckDB would take its commas for separators.
            sniffed = {
                "Delimiter": "\t",
                "Quote": "",
                "Escape": "",
                "HasHeader": False,
                "Columns": first[0].split("\t"),
            }
        else:
            sniffed = _sniff_csv(connection, _write(folder, first), first, named[2] if named else "")
        names = [_w3c_name(name) for name in fields_line.split()[1:]] or _header(first[0], sniffed)
        has_header = bool(names) and not fields_line
        header_lines = {lines[0] for lines in contents.values() if lines} if has_header else set()
        if len(header_lines) > 1:
            raise InputError(
                f"the first lines of {', '.join(contents)} differ: expected files of one kind; look at one kind at a "
                f"time, and leave catalogues of items to [items] of the TOML"
            )
        lines = [line for own in contents.values() for line in own if line not in header_lines]
        width = len(names) or len(sniffed["Columns"])
        options = {"delim": sniffed["Delimiter"], "quote": sniffed["Quote"], "escape": sniffed["Escape"]}
        given = ", ".join(f"{key}='{value}'" for key, value in options.items())
        texts = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(width))
        connection.execute(
            f"CREATE TABLE sample AS SELECT * FROM read_csv('{_write(folder, lines or [''])}', header=false, "
            f"auto_detect=false, columns={{{texts}}}, {given}, null_padding=true, ignore_errors=true, "
            "strict_mode=false)"
        )
    paths = names or [f"column_{number + 1}" for number in range(width)]
    columns = [column_stats(connection, "sample", f"c{number}", [path]) for number, path in enumerate(paths)]
    columns = with_fields_of_texts(connection, "sample", columns)
    if width < 2 or not columns[0].rows or columns[0].rows < MOST * len(lines):
        raise InputError(f"{next(iter(files))}: its lines have no format that is known: {UNREADABLE}")
    separator = str(sniffed["Delimiter"])
    reader: dict[str, Any] = {"format": "tsv" if separator == "\t" and not sniffed["Quote"] else "csv"}
    if separator != ("\t" if reader["format"] == "tsv" else ","):
        reader["separator"] = separator
    if has_header:
        reader["header"] = True
    if reader["format"] == "csv" and sniffed["Escape"] == "\\":
        reader["escape"] = "\\"
    if fields_line:
        reader = {"format": "w3c"}
    elif comments:
        reader["comment"] = comment
    evidence = f"{columns[0].rows:,} of {len(lines):,} lines have {width} values between {_shown(separator)}"
    evidence += f"; comments, which begin with {comment}: {comments:,}" if comments else ""
    return Layout(
        reader, columns, evidence, is_headerless=not names,
        determines=lambda one, other, third: determines(connection, "sample", f"c{one}", f"c{other}", f"c{third}"),
    )  # fmt: skip


def _sniff_csv(
    connection: duckdb.DuckDBPyConnection, file: Path, lines: Sequence[str], separator: str
) -> dict[str, Any]:
    """separator: that which the log names, if any."""
    if sum("::" in line for line in lines) >= MOST * len(lines):
        separator = "::"
    options = f", delim='{separator}'" if separator else ""
    relation = connection.sql(
        f"SELECT * FROM sniff_csv('{file}', sample_size=-1, all_varchar=true, ignore_errors=true{options})"
    )
    try:
        [row] = relation.fetchall()
    except duckdb.Error:
        raise InputError(f"its lines have no format that is known: {UNREADABLE}") from None
    found = dict(zip(relation.columns, row, strict=True))
    return {key: "" if value == "(empty)" else value for key, value in found.items()}


def _header(line: str, sniffed: Mapping[str, Any]) -> list[str]:
    """Return the names of a header line; none if the line is an event.

    A header has no numbers and times, and names a known column, or DuckDB found it different from the lines below.
    """
    delimiter = str(sniffed["Delimiter"])
    row = next(csv.reader([line], delimiter=delimiter)) if len(delimiter) == 1 else line.split(delimiter)
    names = [name.strip().removeprefix("\ufeff") for name in row]
    while names and not names[-1]:
        names.pop()
    if not names or any(re.fullmatch(r"[-0-9.:/T ]*", name) for name in names) or len(set(names)) < len(names):
        return []
    is_known = any(plain_name(name) in KNOWN_NAMES for name in names)
    return names if is_known or sniffed["HasHeader"] else []


def _w3c_name(name: str) -> str:
    """Return a name of a line #Fields: as the reader w3c spells it: cs(User-Agent) is cs_user_agent."""
    return re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")


def _python_pattern(source: str) -> "re.Pattern[str]":
    """Return the pattern of a built-in source for Python, which names groups (?P<name>...)."""
    pattern = (load_source(BUILT_IN / f"{source}.toml").reader.pattern or "").strip()
    return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern))


def _write(folder: str, lines: Sequence[str]) -> Path:
    file = Path(folder) / f"{len(list(Path(folder).iterdir()))}.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _shown(separator: str) -> str:
    return {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}.get(separator, repr(separator))
