"""Sources and rules for the cases: a minimal source, with what a case's `rules.toml` says of it."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.sessionize import Rules
from pipeline.source import Source

CASES = Path(__file__).resolve().parents[2] / "cases"
MINIMAL = {
    "reader": {"format": "jsonl", "fields": "user STRING"},
    "columns": {"user_id": "user", "event_at": "at", "event_type": "type"},
    "event_types": {"view": {"as": "view"}},
}


@pytest.fixture(scope="session")
def rules_by_source() -> Callable[[dict[str, dict[str, Any]]], Rules]:
    """Return the function that makes session rules of what each source's TOML says: `time_zone`, `[sessions]`."""

    def make(told: dict[str, dict[str, Any]]) -> Rules:
        return Rules.of({name: Source.model_validate({"name": name, **MINIMAL, **one}) for name, one in told.items()})

    return make


@pytest.fixture(scope="session")
def rules_of_case(
    rules_by_source: Callable[[dict[str, dict[str, Any]]], Rules],
) -> Callable[[Path], tuple[Rules, dict[str, Any]]]:
    """Return the function that reads a case's `rules.toml`: tables are sources (default: one, `web`), the rest options.

    Default: one source `web` as it comes, and no options.
    """

    def read(case: Path) -> tuple[Rules, dict[str, Any]]:
        file = case / "rules.toml"
        told = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        sources = {name: one for name, one in told.items() if isinstance(one, dict)} or {"web": {}}
        return rules_by_source(sources), {name: one for name, one in told.items() if name not in sources}

    return read
