"""Check that a machine can run a step, before anything is written."""

import shutil

from pipeline.errors import ThroughlineError
from pipeline.files import keep_private
from pipeline.local.catalog import start_own_catalog
from pipeline.local.java import Java, prepare_java
from pipeline.local.spark_config import write_configuration
from pipeline.pseudonyms import pseudonym_key
from pipeline.settings import Settings


def run_preflight(settings: Settings) -> Java:
    """Check the disk, find a Java, start the local catalog's PostgreSQL, and configure Spark and PyIceberg.

    Returns the Java that Spark will use. Once the server is up, this takes about a tenth of a second.
    Raises ThroughlineError saying what is missing and how to get it, InputError if the home was moved or copied.
    """
    require_free_space(settings)
    java = prepare_java(settings)
    keep_private(settings.home / "landing", settings.home / "warehouse")
    settings.home.mkdir(parents=True, exist_ok=True)
    pseudonym_key(settings)
    if settings.uses_local_catalog:
        start_own_catalog(settings)
    write_configuration(settings)
    return java


def require_free_space(settings: Settings) -> None:
    """Raise ThroughlineError if the disk of THROUGHLINE_HOME has less free space than the setting `min_free_gib`."""
    folder = next(parent for parent in (settings.home, *settings.home.parents) if parent.exists())
    free_gib = shutil.disk_usage(folder).free / 2**30
    if free_gib < settings.min_free_gib:
        raise ThroughlineError(
            f"{free_gib:.1f} GiB free on the disk of {settings.home}, expected at least {settings.min_free_gib:g}: "
            f"free some space, point THROUGHLINE_HOME to another disk, or lower THROUGHLINE_MIN_FREE_GIB"
        )
