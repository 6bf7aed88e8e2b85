"""Which model scores a day: the newest promoted one that may know it, none, or one by name (DESIGN.md 5.5.6)."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import cache

import pyarrow as pa

from model.boosting.artifact import read_forest
from model.boosting.boosting1 import KIND, Boosting1
from model.boosting.forest import Forest
from model.counts.fit import fit
from model.errors import InputError
from model.registry import Registry, Version, newest_promoted
from model.scorer import Scorer, ScorerAsOf

AS_OF = "as-of"
NONE = "none"


def scorer_of_choice(choice: str, days: Sequence[date], registry: Registry) -> ScorerAsOf:
    """Return what gives the scorer of each of `days`.

    choice: `as-of`, `none` (the built-in counts-1), or the name of a version.
    Raises InputError if there is no version of that name, or if it was trained on days after one of `days`.
    """
    version_of_day = version_of_choice(choice, days, registry)

    @cache
    def forest(version: Version) -> Forest:
        return forest_of(version, registry)

    def scorer(known: pa.Table, day: date) -> Scorer:
        counts = fit(known, day)
        version = version_of_day(day)
        return Boosting1(version.name, forest(version), counts) if version else counts

    return scorer


def forest_of(version: Version, registry: Registry) -> Forest:
    """Load a version. Raises InputError if it is of a kind that this code does not know, or was altered."""
    if version.kind != KIND:
        raise InputError(f"{version.name} is of the kind {version.kind}, expected {KIND}: a newer version made it")
    return read_forest(registry.folder_of(version))


def version_of_choice(choice: str, days: Sequence[date], registry: Registry) -> Callable[[date], Version | None]:
    """Return what gives the version that scores each of `days`, None for the built-in counts.

    Raises InputError as `scorer_of_choice` does.
    """
    if choice == NONE:
        return lambda day: None
    versions = registry.versions()
    if choice == AS_OF:
        return lambda day: newest_promoted(versions, day)
    pinned = _pinned(choice, versions)
    if pinned.trained_through > min(days):
        raise InputError(
            f"model {pinned.name} is trained through {pinned.trained_through}, after {min(days)}, a day to score: it "
            f"has seen what it would foretell; pin an older one, or leave out --model"
        )
    return lambda day: pinned


def _pinned(name: str, versions: Sequence[Version]) -> Version:
    for version in versions:
        if version.name == name:
            return version
    known = ", ".join(version.name for version in versions) or "none yet (`throughline train` makes them)"
    raise InputError(f"no model {name!r}: expected {AS_OF}, {NONE} or a registered version; known: {known}")
