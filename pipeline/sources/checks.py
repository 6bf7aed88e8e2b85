"""What is wrong in a TOML, as a message with file and key; and the fields that its expressions may read."""

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.sources.expressions import parse
from pipeline.sources.functions import words

# Without a field of this name, Spark calls the function of this name.
FUNCTIONS_WITHOUT_PARENTHESES = words(
    "current_catalog current_database current_date current_schema current_time current_timestamp current_user"
) | words("grouping__id localtime localtimestamp session_user user")


def names_of_ddl(ddl: str) -> list[str]:
    """Return the outermost names of a Spark DDL such as `user STRING, geo STRUCT<city: STRING>`."""
    outermost, before = ddl, ""
    while outermost != before:  # the types of structs and decimals have commas of their own
        before, outermost = outermost, re.sub(r"<[^<>]*>|\([^()]*\)", "", outermost)
    declared = re.findall(r"(?:^|,)\s*(?:`((?:[^`]|``)+)`|([^\s:,]+))", outermost)
    return [quoted.replace("``", "`") or plain for quoted, plain in declared]


def require_own_fields(file: Path, expressions: Mapping[str, str | None], fields: frozenset[str]) -> None:
    """Raise SourceError naming file and key if a name is no field, but a function of Spark that needs no parentheses.

    Spark refuses other unknown names itself. expressions: by key. fields: in small letters.
    """
    for key, text in expressions.items():
        for name in sorted(parse(text).names & FUNCTIONS_WITHOUT_PARENTHESES - fields if text else ()):
            raise SourceError(
                f"{file}: key {key!r} = {text!r}: {name!r} is no field of the reader, and the function of this name is "
                f"not allowed"
            )


def problem_of(file: Path, error: object) -> str:
    """Return the message of an error of pydantic."""
    assert isinstance(error, dict)
    key = ".".join(str(part) for part in error["loc"]) or "(top level)"
    if error["type"] == "extra_forbidden":
        return f"{file}: unknown key {key!r}; see template.toml for all keys"
    if error["type"] == "missing":
        return f"{file}: the key {key!r} is missing; see template.toml for an example"
    found = repr(error["input"])[:500]
    return f"{file}: key {key!r} = {found}: {error['msg'].removeprefix('Value error, ')}"
