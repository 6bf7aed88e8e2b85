"""The TOML of a guess, with a comment for every choice; the template is `guessed.toml.j2`."""

import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.sources.guess import Guess, used_columns
from pipeline.sources.schema import BUILT_IN

TEMPLATE = "guessed.toml.j2"


def toml_text(guess: Guess, name: str, files: str) -> str:
    """Return the TOML of a source. files: the files of the log as a command line names them."""
    layout = guess.layout
    if layout.built_in:
        return built_in_text(layout.built_in, name)
    template = _environment().get_template(TEMPLATE)
    return template.render(
        name=name,
        files=one_line(files),
        evidence=layout.evidence,
        reader=reader_keys(guess),
        columns=guess.columns,
        doubts=guess.doubts,
        notes=guess.notes,
        unfold=guess.unfold,
        reject_when=guess.reject_when,
        event_types=guess.event_types,
        joins_devices=guess.joins_devices,
        needs_clusters=guess.needs_clusters,
    )


def built_in_text(built_in: str, name: str) -> str:
    """Return the TOML of a built-in source under another name."""
    text = (BUILT_IN / f"{built_in}.toml").read_text(encoding="utf-8")
    return re.sub('(?m)^name = ".*"$', f"name = {_toml(name)}", text, count=1)


def reader_keys(guess: Guess) -> dict[str, Any]:
    """Return the keys of [reader]. With a header line, `columns` lists the columns that expressions use."""
    layout = guess.layout
    if layout.fields:
        return {**layout.reader, "fields": layout.fields}
    has_names = layout.reader.get("header") or layout.reader["format"] == "w3c"
    used = used_columns(guess) if has_names else layout.columns
    return {**layout.reader, "columns": [column.name for column in used if not column.in_text]}


def source_name(file: Path) -> str:
    """Return a name for the source of a file: its own name in the characters that the key `name` allows."""
    stem = file.name.lower().split(".")[0]
    name = re.sub("[^a-z0-9]+", "-", stem).strip("-").lstrip("0123456789-")
    return name or "log"


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters, for a comment."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)


def _toml(value: object) -> str:
    """Return a value as TOML, whose basic strings have the escapes of JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(BUILT_IN), undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    environment.filters |= {"toml": _toml, "line": one_line}
    return environment
