"""`throughline backup`: copy a home to a folder, so that `restore` makes the same home at any path.

backup.json     written last: a folder without it is no backup
warehouse/      files of all snapshots of all tables, as they are
landing/        landed lines and the TOMLs of their sources
home/           settings, models, tombstones, pages
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pipeline.backup.table_files import files_of
from pipeline.erasure import is_unfinished
from pipeline.errors import InputError, UsageError
from pipeline.files import keep_private, write_private
from pipeline.landing.locks import landing_stopped
from pipeline.landing.zone import LandingZone
from pipeline.local.catalog import local_path, table_locations
from pipeline.pseudonyms import KEY_FILE
from pipeline.settings import Settings
from pipeline.version import code_version
from pipeline.warehouse.lease import lease_held
from throughline.stores import is_remote

RECORD, FORMAT = "backup.json", 1
REGISTRY = Path("mlruns", "mlflow.db")  # of models, see `model/registry.py`
DAMAGED = "`throughline doctor --deep` lists all such files of the newest release; restore an older backup"
# Copied elsewhere, made again by each home, or of no use in another one.
NOT_OF_HOME = {
    "warehouse", "landing", KEY_FILE, "postgres", "airflow", "conf", "engine", "java", "jars", "logs", "exchange",
    "staging", "scratch",
}  # fmt: skip


@dataclass(frozen=True)
class Backup:
    """What backup.json says. tables: the JSON of each table within `warehouse/`, by name; none of a remote catalog."""

    format: int
    made_at: str
    code_version: str
    home: str
    tables: Mapping[str, str]
    files: int
    bytes: int

    @property
    def old_warehouse(self) -> Path:
        """The folder to which the metadata in the backup point."""
        return Path(self.home) / "warehouse"


def read_backup(folder: Path) -> Backup:
    """Return what backup.json says. Raises InputError if the folder is no whole backup of this format."""
    try:
        return Backup(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"no {RECORD} in {folder}: expected a folder of `throughline backup` that was ended") from None
    except (TypeError, ValueError):
        raise InputError(
            f"{folder / RECORD} is not of format {FORMAT}: restore it with the version that made it"
        ) from None


def back_up(settings: Settings, to: Path, console: Console) -> Backup:
    """Copy a home to a new or empty folder, which only its owner may enter.

    It holds the lease and the lock of the landing zone, so that no night and no landing changes what it copies.

    Raises UsageError if the folder has files or lies in the home, InputError if a file of a table is missing or has
    another size than its manifest says, or if an erasure has not ended.
    """
    if to.is_dir() and any(to.iterdir()):
        raise UsageError(f"{to} is not empty: expected a new or empty folder for the backup")
    if to.resolve().is_relative_to(settings.home):
        raise UsageError(f"{to} lies in {settings.home}, which it is to be a backup of: name a folder elsewhere")
    today = datetime.now(UTC).date()
    with lease_held(settings, "backup", today) as lease, landing_stopped(settings):
        if is_unfinished(settings):
            raise InputError("an erasure has not ended: run `throughline erase --resume`, then this again")
        to.mkdir(parents=True, exist_ok=True)
        keep_private(to)
        tables = table_locations(settings) if settings.uses_local_catalog else {}
        copied = [*_copy_tables(settings, tables, to / "warehouse"), *_copy_home(settings, to / "home")]
        if not is_remote(settings.landing_folder):
            copied += _copy_folder(settings.landing_folder, to / "landing")
        lease.require_held()
    warehouse = settings.home / "warehouse"
    made = Backup(
        format=FORMAT,
        made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        code_version=code_version(),
        home=str(settings.home),
        tables={name: str(local_path(location).relative_to(warehouse)) for name, location in tables.items()},
        files=len(copied),
        bytes=sum(copied),
    )
    write_private(to / RECORD, json.dumps(asdict(made), indent=2))
    return made


def not_covered(settings: Settings) -> list[str]:
    """Return a line for each thing that a backup of this home leaves out, and how to keep it."""
    key = "the setting pseudonym_key" if settings.pseudonym_key else str(settings.home / KEY_FILE)
    lines = [f"the pseudonym key ({key}): keep a copy where secrets are kept; `restore` asks for it"]
    if not settings.uses_local_catalog:
        place = settings.catalog.get("warehouse") or settings.catalog.get("uri", "")
        lines.append(
            f"the tables, which lie in the catalog of the setting catalog ({place}): back them up by the means of that "
            f"catalog and its store"
        )
    if is_remote(settings.landing_folder):
        lines.append(
            f"the landing zone {settings.landing}, and the files that landed in place: back them up by the means of "
            f"their store"
        )
    elif in_place := _lines_in_place(LandingZone(settings.landing_folder)):
        lines.append(f"the files of {in_place:,} lines that landed in place: back them up where they lie")
    places = {"models": settings.models, "reports": settings.reports}
    lines += [
        f"the folder of the setting {name}, {place}: back it up by the means of its store"
        for name, place in places.items()
        if place
    ]
    if settings.registry_url:
        lines.append("the PostgreSQL of the setting registry_url, which names the models: back it up by its own means")
    return [*lines, "the run history of Airflow, and logs"]


def _lines_in_place(zone: LandingZone) -> int:
    return sum(day.in_place for file in zone.source_files() for day in zone.days(file.parent.name).values())


def _copy_tables(settings: Settings, tables: Mapping[str, str], to: Path) -> Iterator[int]:
    """Copy the files of all tables; yield the bytes of each."""
    warehouse = settings.home / "warehouse"
    for location in tables.values():
        for file, size in files_of(local_path(location)).items():
            if not file.is_relative_to(warehouse):
                raise InputError(f"{file} is not in {warehouse}: a backup covers one local warehouse")
            if not file.is_file():
                raise InputError(f"{file} is missing: {DAMAGED}")
            found = _copy_file(file, to / file.relative_to(warehouse))
            if size is not None and found != size:
                raise InputError(f"{file} has {found:,} bytes, expected {size:,} by its manifest: {DAMAGED}")
            yield found


def _copy_home(settings: Settings, to: Path) -> Iterator[int]:
    to.mkdir()
    database = settings.home / REGISTRY
    if database.is_file():  # before the models, since a version is there when its row is
        (to / REGISTRY).parent.mkdir()
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to / REGISTRY)) as copy:
            source.backup(copy)
        yield (to / REGISTRY).stat().st_size
    for one in sorted(settings.home.iterdir()):
        if one.name in NOT_OF_HOME or one.suffix == ".lock" or (one.is_symlink() and not one.exists()):
            continue
        yield from _copy_folder(one, to / one.name) if one.is_dir() else [_copy_file(one, to / one.name)]


def _copy_folder(source: Path, to: Path) -> Iterator[int]:
    for file in sorted(source.rglob("*")):
        if file.is_file() and file.suffix != ".lock" and not file.name.startswith("mlflow.db"):
            yield _copy_file(file, to / file.relative_to(source))


def _copy_file(source: Path, to: Path) -> int:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
    return to.stat().st_size
