"""An archive of the JVM's classes: what one Spark start has read and checked, later ones map into their memory.

Every step is a fresh JVM, which on a small log loads classes for a quarter of its processor time.
Source: JEP 350, dynamic class data sharing. A JVM that finds the archive of other jars or of another JDK does without.
"""

from importlib.util import find_spec
from pathlib import Path

from pipeline.embedded.jdk import java
from pipeline.settings import Settings

QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"  # of an archive that does not fit, an operator can do nothing


def class_archive(settings: Settings) -> Path:
    return settings.home / "jars" / "classes.jsa"


def is_archive_fresh(settings: Settings) -> bool:
    """Return whether there is an archive that is newer than the JDK and Spark's jars; an empty one says that this JDK
    keeps none, so that nobody waits for it again."""
    file, jvm = class_archive(settings), java()
    if not file.is_file() or jvm is None:
        return False
    return file.stat().st_mtime > max(made_of.stat().st_ctime for made_of in (jvm.resolve(), spark_jars()))


def archive_options(settings: Settings) -> str:
    """Return what tells a JVM to map the archive, if there is one."""
    file = class_archive(settings)
    is_there = file.is_file() and file.stat().st_size > 0
    return f" -XX:SharedArchiveFile={file.resolve()} {QUIET}" if is_there else ""


def recording_options(file: Path) -> str:
    """Return what tells a JVM to write an archive when it ends."""
    return f" -XX:ArchiveClassesAtExit={file} {QUIET}"


def class_path(jars: list[Path]) -> str:
    """Return a class path that begins with jars alone: past a folder, such as that of Spark's configuration, no archive
    holds any class."""
    return ":".join([*(str(jar.resolve()) for jar in jars), f"{spark_jars()}/*"])


def spark_jars() -> Path:
    """Return the folder of the jars that come with PySpark, without importing it."""
    found = find_spec("pyspark")
    assert found and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "jars"
