"""`throughline source new` and `source check`: guess a TOML, and show what a TOML accepts and refuses."""

import json
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.errors import InputError, UsageError
from pipeline.escape import printable
from pipeline.landing.archives import InputFile, open_file
from pipeline.landing.file_kinds import AVRO, HEAD_BYTES, PARQUET, binary_kind
from pipeline.landing.formats import read_batches
from pipeline.landing.staging import input_files
from pipeline.runner.commands import job_command
from pipeline.runner.run import prepare_environment, run_all
from pipeline.sources.encodings import UTF_8, encoding_of
from pipeline.sources.guess import Guess, guess
from pipeline.sources.headerless import name_columns
from pipeline.sources.schema import Reader, load_source, source_file
from pipeline.sources.sniff import sniff_lines
from pipeline.sources.toml_text import source_name, toml_text

LINES_GUESSED, LINES_CHECKED = 100_000, 10_000
FILES_GUESSED = 100
BYTES_READ = 1 << 20  # of a file, to find its encoding
LEAST_ACCEPTED = 0.8  # as the gate of `audit` demands
SHOWN = 100  # characters of a line
Report = Mapping[str, Any]


def new_source(paths: Sequence[Path], name: str | None, output: Path | None, force: bool, console: Console) -> None:
    """Guess the TOML of a log, write it, and try it on the first lines.

    Raises InputError if a key is not sure, or if the TOML accepts too few lines; the TOML is written all the same.
    Raises UsageError if the file exists and `force` is off.
    """
    files = input_files(paths)
    name = name or source_name(paths[0])
    output = output or Path(f"{name}.toml")
    if output.exists() and not force:
        raise UsageError(f"{output} exists already: add --force to replace it, or choose another file with -o")
    made = guess_files(files)
    named = shlex.join(str(path) for path in paths)
    output.write_text(toml_text(made, name, named), encoding="utf-8")
    _print_guess(made, console)
    console.print(Text(f"wrote {output}"), soft_wrap=True)
    if made.doubts:
        lines = "".join(f"\n  {doubt.key}: {doubt.found}" for doubt in made.doubts)
        raise InputError(
            f"{output} is not complete, since the log does not say enough:{lines}\n"
            f"  choose among the lines that are marked NOT SURE, then run: throughline source check {output} {named}"
        )
    check_source(output, paths, console)
    next_commands = (
        f"Next: throughline land --source {output} {named}, then throughline run --from FIRST_DAY --to LAST_DAY; "
        f"or both in a new home: make demo LOG=... SOURCE={output}"
    )
    console.print(Text(next_commands), soft_wrap=True)


def check_source(source: str | Path, paths: Sequence[Path], console: Console) -> None:
    """Show what a TOML accepts and refuses of the first lines of a log. Nothing lands.

    Raises InputError if it refuses more than the gate of a night allows.
    """
    toml = source_file(str(source))
    load_source(toml)
    settings = prepare_environment(console)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ("--source", str(toml), "--report", str(report), "--lines", str(LINES_CHECKED))
        run_all([job_command("check_source", *options, *map(str, paths))], settings, console, "check_source")
        found: Report = json.loads(report.read_text(encoding="utf-8"))
    print_report(found, console)
    if load_source(toml).items and found["catalogue"] is None:
        note = "note: no catalogue of [items] is among these files; name it, too, to see the tags that it gives"
        console.print(Text(note), soft_wrap=True)
    considered = found["lines"] - found["excluded"]
    if found["accepted"] < LEAST_ACCEPTED * considered or not found["accepted"]:
        raise InputError(
            f"{toml} accepts {found['accepted']:,} of {considered:,} lines: a night needs {LEAST_ACCEPTED:.0%}, not "
            f"counting lines that [reject_when] excludes; correct the keys that the reasons above name"
        )


def guess_files(files: Sequence[InputFile]) -> Guess:
    """Guess the TOML of files by their first lines.

    Raises InputError if their format is not known, or if they have several.
    """
    files = files[:FILES_GUESSED]
    readers = {file: _reader_of(file) for file in files}
    if len({reader.format for reader in readers.values()}) > 1:
        raise InputError(f"{files[0]}: the files have several formats; look at one kind at a time")
    encodings = {reader.encoding for reader in readers.values()} - {UTF_8}  # a file of ASCII alone has any encoding
    if len(encodings) > 1:
        raise InputError(
            f"{files[0]}: the files have the encodings {', '.join(sorted(encodings))}; look at one at a time"
        )
    reader = readers[files[0]].model_copy(update={"encoding": next(iter(encodings), UTF_8)})
    part = LINES_GUESSED // len(files)
    layout = sniff_lines({str(file): _first_texts(file, reader, part) for file in files})
    if reader.format in ("parquet", "avro"):  # whose rows are read as JSON lines
        layout = replace(layout, reader={"format": reader.format}, evidence=f"rows of {reader.format}: {layout.rows:,}")
    if reader.encoding != UTF_8:
        layout = replace(layout, reader={**layout.reader, "encoding": reader.encoding})
    made = guess(*name_columns(layout)) if layout.is_headerless else guess(layout)
    if reader.encoding != UTF_8:
        made.notes.append(f"the bytes are no utf-8; they look like {reader.encoding}: do the words read well?")
    return made


def _reader_of(file: InputFile) -> Reader:
    """Return a reader of the lines of a file, or of its rows or documents as lines of JSON.

    Raises InputError if it has another binary format.
    """
    with open_file(file) as content:
        beginning = content.read(BYTES_READ)
    head = beginning[:HEAD_BYTES]
    kind = binary_kind(head)
    if kind in (PARQUET, AVRO):
        return Reader(format="parquet" if kind == PARQUET else "avro", fields="any STRING")
    if kind:
        raise InputError(
            f"{file}: it is {kind.name}; expected a log of text, Parquet or Avro, as it is or packed as gzip, zstd, "
            f"bzip2, zip or tar: {kind.advice}"
        )
    if head.lstrip().startswith(b"["):  # one JSON list
        return Reader(format="jsonl", fields="any STRING", encoding=encoding_of(beginning))
    return Reader(format="regex", pattern="(?<line>.*)", encoding=encoding_of(beginning))


def _first_texts(file: InputFile, reader: Reader, count: int) -> list[str]:
    texts: list[str] = []
    for batch in read_batches(file, file.name, reader):
        texts += batch["text"].slice(0, count - len(texts)).to_pylist()
        if len(texts) >= count:
            break
    return texts


def _print_guess(made: Guess, console: Console) -> None:
    """Print each choice with the counts that speak for it."""
    console.print(Text(printable(made.layout.evidence)), soft_wrap=True)
    if made.layout.built_in:
        console.print(
            f"the TOML is that of the built-in source {made.layout.built_in}: --source {made.layout.built_in} works too"
        )
        return
    shown = Table("key", "expression", "what speaks for it")
    for key, choice in made.columns.items():
        shown.add_row(Text(printable(key)), Text(printable(choice.expression, SHOWN)), Text(printable(choice.evidence)))
    for doubt in made.doubts:
        shown.add_row(
            Text(doubt.key, style="bold red"), Text("NOT SURE", style="bold red"), Text(printable(doubt.found))
        )
    console.print(shown)
    types = [
        f"{value} ({canonical}{f', {count:,}' if count else ''})" for value, canonical, _, count, _ in made.event_types
    ]
    if types:
        console.print(Text(printable(f"event types: {', '.join(types)}")), soft_wrap=True)
    for note in made.notes:
        console.print(Text(f"note: {printable(note)}"), soft_wrap=True)


def print_report(found: Report, console: Console) -> None:
    """Print how many lines are accepted and refused, one example a reason, and a summary of the events."""
    console.print(
        Text(
            f"of the first {found['lines']:,} lines {found['accepted']:,} are accepted, "
            f"{found['rejected']:,} rejected and {found['excluded']:,} excluded by [reject_when]",
            style="bold",
        ),
        soft_wrap=True,
    )
    if found["reasons"]:
        shown = Table("reason", "lines", "what was found", "example")
        for row in found["reasons"]:
            place = f"{printable(row['file'])}:{row['line']}  {printable(row['text'], SHOWN)}"
            shown.add_row(Text(row["reason"]), f"{row['lines']:,}", Text(printable(row["detail"], SHOWN)), Text(place))
        console.print(shown)
    types = ", ".join(f"{row['event_type']} {row['events']:,}" for row in found["event_types"])
    tags = ", ".join(f"{printable(row['tag'], 40)} {row['events']:,}" for row in found["tags"]) or "none"
    days = (
        f"from {found['first_day']} to {found['last_day']}, on days: {found['days']:,}" if found["days"] else "no days"
    )
    lines = (
        f"events: {found['events']:,}, users: {found['users']:,}, items: {found['items']:,}, {days}",
        f"event types: {types or 'none'}",
        f"tags: {tags}; events without a tag: {found['without_tags']:,}",
    )
    console.print(Text("\n".join(lines)), soft_wrap=True)
    for number, line in enumerate(found["catalogue"] or []):
        console.print(Text(f"{'warning' if number else 'catalogues of items'}: {printable(line)}"), soft_wrap=True)
