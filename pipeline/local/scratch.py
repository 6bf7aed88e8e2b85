"""Folders in which Spark keeps rows for a moment, in the home, so that only its owner may read them.

The warm engine has one beside its records. Each process of `spark-submit` has its own in `<home>/scratch`, with a lock
that it holds until it ends. A process that is killed cannot delete its folder; the next one does.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from pipeline.settings import Settings

LOCK = ".lock"


def engine_scratch(settings: Settings) -> Path:
    """Return the folder of the warm engine that a home uses."""
    return settings.home_of_engine / "engine" / "scratch"


def spark_variables(folder: Path) -> Mapping[str, str]:
    """Return the variables by which Spark, and what else runs in its Java, writes temporary files to a folder."""
    java = {"SPARK_SUBMIT_OPTS": f'"-Djava.io.tmpdir={folder}"'}
    return java if "," in str(folder) else {**java, "SPARK_LOCAL_DIRS": str(folder)}  # Spark would read two folders


def take_scratch(settings: Settings) -> Mapping[str, str]:
    """Make a folder for this process, and for the program that it may become; return Spark's variables that name it.

    Deletes the folders of processes that have ended.
    """
    delete_ended(settings)
    folder = _folder(settings) / f"{os.getpid()}-{secrets.token_hex(4)}"
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder.with_suffix(LOCK), os.O_WRONLY | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(lock, True)  # the program that replaces this one holds it too
    folder.mkdir(mode=0o700)
    return spark_variables(folder)


def delete_ended(settings: Settings) -> None:
    """Delete the folders of processes that have ended."""
    for file in _folder(settings).glob(f"*{LOCK}"):
        with file.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(file.with_suffix(""), ignore_errors=True)
            file.unlink(missing_ok=True)


def _folder(settings: Settings) -> Path:
    return settings.home / "scratch"
