"""Check that a machine can run a step, before anything is written."""

import os
import re
import shutil
import subprocess

from pipeline.errors import ThroughlineError
from pipeline.local import postgres
from pipeline.local.spark_config import java, write_configuration
from pipeline.pseudonyms import pseudonym_key
from pipeline.settings import Settings

JAVA_VERSIONS = (17, 21)


def run_preflight(settings: Settings) -> None:
    """Check disk and JDK, start the local catalog's PostgreSQL, and write the configuration of Spark and PyIceberg.

    Every command may call this: it takes about a tenth of a second once the server is up.
    Raises ThroughlineError saying what is missing and how to get it.
    """
    require_free_space(settings)
    require_jdk()
    settings.home.mkdir(parents=True, exist_ok=True)
    pseudonym_key(settings)
    if settings.uses_local_catalog:
        postgres.start(settings)
    write_configuration(settings)


def require_free_space(settings: Settings) -> None:
    """Raise ThroughlineError if the disk of THROUGHLINE_HOME has less free space than the setting `min_free_gib`."""
    folder = next(parent for parent in (settings.home, *settings.home.parents) if parent.exists())
    free_gib = shutil.disk_usage(folder).free / 2**30
    if free_gib < settings.min_free_gib:
        raise ThroughlineError(
            f"{free_gib:.1f} GiB free on the disk of {settings.home}, expected at least {settings.min_free_gib:g}: "
            f"free some space, point THROUGHLINE_HOME to another disk, or lower THROUGHLINE_MIN_FREE_GIB"
        )


def require_jdk() -> str:
    """Return the version line of the JDK that Spark will use.

    Raises ThroughlineError saying how to install one if there is none, or if Spark does not support its version.
    """
    home, jvm = os.environ.get("JAVA_HOME"), java()
    advice = (
        "install a JDK 17 or 21 (Debian and Ubuntu: `apt-get install openjdk-17-jre-headless`, "
        "macOS: `brew install openjdk@21`) and set JAVA_HOME to it"
    )
    if jvm is None:
        where = f"JAVA_HOME is {home}, which holds no bin/java" if home else "no `java` on the PATH"
        raise ThroughlineError(f"no JDK found ({where}), and Spark needs one: {advice}")
    printed = subprocess.run([str(jvm), "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', printed)
    if not version or int(version[1]) not in JAVA_VERSIONS:
        found = printed.splitlines()[0] if printed else "nothing"
        raise ThroughlineError(f"{jvm} answers {found!r}, and Spark 4.1 runs on 17 or 21: {advice}")
    return printed.splitlines()[0]
