"""The model that scores a day: the newest promoted version that has seen no later day, none, or one by name."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from model.boosting.model import KIND as BOOSTING
from model.boosting.model import SavedForest
from model.counts.model import VERSION as COUNTS
from model.counts.model import fit_counts_to_history
from model.data.days import HORIZON_DAYS, days_in_words
from model.data.history import history_of
from model.data.users import MAX_USERS, sample_users
from model.errors import InputError, require_torch
from model.interfaces import SavedModel, Scorer, ScorerAsOf
from model.items.model import ItemTrees, WithItems
from model.registry import ITEMS, Registry, Version, newest_promoted

AS_OF = "as-of"
NONE = "none"
TRANSFORMER = "transformer-1"


VersionOfDay = Callable[[date], Version | None]  # None for the built-in counts-1


def scorer_of(
    version_of_day: VersionOfDay, items_of_day: VersionOfDay, registry: Registry, horizon_days: int
) -> ScorerAsOf:
    """Return a function from a day to its scorer.

    version_of_day: as `select_version` returns it. items_of_day: as `select_items` returns it.
    """

    @cache
    def saved(version: Version) -> SavedModel:
        return load(version, registry)

    @cache
    def saved_items(version: Version) -> ItemTrees:
        return load_items(version, registry)

    def scorer(known: pa.Table, day: date) -> Scorer:
        version, items = version_of_day(day), items_of_day(day)
        sampled = history_of(sample_users(known, MAX_USERS))
        counts = fit_counts_to_history(sampled, day, horizon_days)
        chosen = saved(version).scorer(version.name, counts, sampled) if version else counts
        if not items:
            return chosen
        return WithItems.of(chosen, items.name, saved_items(items), counts, sampled)

    return scorer


def load_items(version: Version, registry: Registry) -> ItemTrees:
    """Load a version of items-1. Raises InputError if its files have changed, or another release wrote them."""
    return ItemTrees.read(registry.folder_of(version))


def load(version: Version, registry: Registry) -> SavedModel:
    """Load a version. Raises InputError if its kind is unknown or its files have changed."""
    if version.kind not in READ:
        raise InputError(
            f"{version.name} is of the kind {version.kind}, expected {' or '.join(READ)}: a newer version made it"
        )
    return READ[version.kind](registry.folder_of(version))


def _transformer(folder: Path) -> SavedModel:
    # torch takes seconds to import, and a day without a Transformer does not need it.
    require_torch("scoring by a Transformer")
    from model.transformer.publish import SavedTransformer

    return SavedTransformer.read(folder)


READ: Mapping[str, Callable[[Path], SavedModel]] = MappingProxyType(
    {BOOSTING: SavedForest.read, TRANSFORMER: _transformer}
)


def import_libraries(registry: Registry) -> None:
    """Import what scoring by the models of a registry needs: MLflow and torch take seconds each."""
    versions = registry.versions()  # imports MLflow if there are any
    if any(version.is_promoted and version.kind == TRANSFORMER for version in versions) and find_spec("torch"):
        import model.transformer.publish  # noqa: F401


def select_version(
    choice: str, days: Sequence[date], registry: Registry, horizon_days: int = HORIZON_DAYS
) -> VersionOfDay:
    """Return a function from each of `days` to the version that scores it.

    choice: `as-of`, `none` (the built-in counts-1), or the name of a version.
    Raises InputError if there is no version of that name, if it was trained on days after one of `days`, or for another
    horizon.
    """
    if choice == NONE:
        return lambda day: None
    versions = registry.versions()
    if choice == AS_OF:
        return lambda day: newest_promoted(versions, day, horizon_days)
    pinned = _pinned(choice, versions)
    if pinned.trained_through > min(days):
        raise InputError(
            f"model {pinned.name} is trained through {pinned.trained_through}, after {min(days)}, a day to score: it "
            f"has seen what it would predict; choose an older one, or leave out --model"
        )
    if pinned.horizon_days != horizon_days:
        raise InputError(
            f"model {pinned.name} predicts {days_in_words(pinned.horizon_days)}, and the horizon of this home is "
            f"{days_in_words(horizon_days)}: choose another model, or set horizon_days to {pinned.horizon_days}"
        )
    return lambda day: pinned


def days_of_new_models(days: Sequence[date], version_of_day: VersionOfDay, before: Collection[str]) -> list[date]:
    """Return those of the consecutive `days` that another model scores than the day before.

    before: the versions that scored the newest day before the first one; if there are none, the first one is not new.
    """
    found = []
    for day in days:
        version = version_of_day(day)
        name = version.name if version else COUNTS
        if before and name not in before:
            found.append(day)
        before = [name]
    return found


def select_items(choice: str, registry: Registry, horizon_days: int = HORIZON_DAYS) -> VersionOfDay:
    """Return a function from a day to the version of items-1 that ranks its items, if one was promoted by then.

    choice: as of `select_version`; with `none` there is no version.
    """
    if choice == NONE:
        return lambda day: None
    versions = replace(registry, model=ITEMS).versions()
    return lambda day: newest_promoted(versions, day, horizon_days)


def _pinned(name: str, versions: Sequence[Version]) -> Version:
    for version in versions:
        if version.name == name:
            return version
    known = ", ".join(version.name for version in versions) or "none yet (`throughline train` makes them)"
    raise InputError(f"no model {name!r}: expected {AS_OF}, {NONE} or a registered version; known: {known}")
