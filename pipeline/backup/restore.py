"""`throughline restore`: make a home of a backup, at any path and on any port."""

import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from rich.console import Console

from pipeline.backup.make import REGISTRY, Backup, read_backup
from pipeline.backup.table_files import Relocation
from pipeline.copies import BACKUP, remember_copy
from pipeline.errors import InputError, UsageError
from pipeline.files import keep_private, write_private
from pipeline.local.preflight import run_preflight
from pipeline.pseudonyms import (
    FINGERPRINT_FILE,
    KEY_FILE,
    key_fingerprint,
    require_same_key,
)
from pipeline.runner.commands import register_command
from pipeline.runner.run import run_first_job
from pipeline.settings import Settings, load_settings
from throughline.stores import is_remote

MAY_BE_THERE = {"jars", "java"}  # in the folder of the new home
# Columns of MLflow's database that hold the place of the home.
PLACES = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("model_versions", "source"),
    ("model_versions", "storage_location"),
)  # fmt: skip


def restore(folder: Path, home: Path, key_file: Path | None, console: Console) -> Settings:
    """Make a home of a backup; return its settings. The tables get the snapshots and releases that they had.

    key_file: the pseudonym key, which no backup holds; None if a setting has it. It is copied into the home.

    Raises UsageError if the home has files, InputError if the folder is no whole backup or the key is another one.
    """
    backup = read_backup(folder)
    there = sorted(one.name for one in home.glob("*") if one.name not in MAY_BE_THERE)
    if there:
        raise UsageError(f"{home} has {', '.join(there[:5])}: expected a new or empty folder for the restored home")
    key = _key(folder, load_settings(home=folder / "home"), key_file)
    os.environ["THROUGHLINE_HOME"] = str(home)  # of the steps that this process starts
    settings = _copy(folder, backup, home, console)
    if key:
        write_private(home / KEY_FILE, key)
    remember_copy(home, BACKUP, folder, backup.made_at)
    run_preflight(settings)
    if backup.tables:
        run_first_job(register_command(folder), settings, console)
    return settings


def _key(folder: Path, settings: Settings, key_file: Path | None) -> str | None:
    """Return the key to write into the home; None if a setting has it, or if the home of the backup had none yet.

    Raises UsageError if it is not given, InputError if it is another one.
    """
    kept = folder / "home" / FINGERPRINT_FILE
    if key_file:
        key = key_file.read_text(encoding="utf-8").strip()
    else:
        key = settings.pseudonym_key.get_secret_value().strip() if settings.pseudonym_key else ""
    if not kept.is_file():
        return key or None
    fingerprint = kept.read_text(encoding="utf-8").strip()
    if not key:
        raise UsageError(
            f"a backup does not hold the pseudonym key: give your copy of it, of fingerprint {fingerprint}, by "
            f"--key FILE, or set THROUGHLINE_PSEUDONYM_KEY"
        )
    require_same_key(key_fingerprint(key.encode()), fingerprint, f"the home in {folder}")
    return key if key_file else None


def _copy(folder: Path, backup: Backup, home: Path, console: Console) -> Settings:
    """Copy all files into the home, and let those that name its place name the new one."""
    home.mkdir(parents=True, exist_ok=True)
    keep_private(home)
    try:
        shutil.copytree(folder / "home", home, dirs_exist_ok=True)
        settings = load_settings(home=home)
        zone = settings.landing_folder
        if (folder / "landing").is_dir() and not is_remote(zone):
            if zone.is_dir() and any(zone.iterdir()):
                raise InputError(
                    f"the landing zone {zone} is not empty: is it that of the home in the backup? Set "
                    f"THROUGHLINE_LANDING to a new folder, and change settings.toml of the new home afterwards"
                )
            shutil.copytree(folder / "landing", zone, dirs_exist_ok=True)
        if backup.tables:
            console.print("copying the tables")
            shutil.copytree(folder / "warehouse", home / "warehouse")
            relocation = Relocation(backup.old_warehouse, home / "warehouse", int(time.time() * 1000))
            for relative in backup.tables.values():
                relocation.rewrite(home / "warehouse" / relative)
        if (home / REGISTRY).is_file():
            move_registry(home / REGISTRY, Path(backup.home), home)
    except BaseException:
        for one in home.iterdir():  # so that the same command can be tried again
            if one.name not in MAY_BE_THERE:
                shutil.rmtree(one) if one.is_dir() else one.unlink()
        raise
    return settings


def move_registry(database: Path, old: Path, new: Path) -> None:
    """Let MLflow write the artifacts of later trainings into the new home."""
    before, after = ((home / "mlruns").as_uri() for home in (old, new))
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in PLACES:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (after, len(before) + 1, len(before), before),
            )
