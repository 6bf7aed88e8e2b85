"""Fetch jars by Ivy, which pyspark has, without what they depend on.

`python -m pipeline.local.install_jars` puts all jars into Spark's own folder when an image is built. Then no start
fetches them, and the drivers and executors of a cluster have them.
"""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.errors import ThroughlineError
from pipeline.local.java import prepare_java
from pipeline.local.spark_config import JARS, JARS_FOR_FILES_IN_S3, JARS_FOR_S3, spark_folder
from pipeline.settings import Settings

NAMES = "[organisation]_[artifact]-[revision].[ext]"


def install_jars(folder: Path, coordinates: tuple[str, ...]) -> None:
    """Fetch jars into a folder. coordinates: of Maven, group:name:version. Raises ThroughlineError if one fails."""
    ivy = next(spark_folder().glob("ivy-*.jar"))
    with TemporaryDirectory() as state:
        java = prepare_java(Settings(home=Path(state))).home / "bin" / "java"
        for one in coordinates:
            wanted = ["-dependency", *one.split(":"), "-confs", "master", "-retrieve", f"{folder}/{NAMES}"]
            command = [str(java), "-jar", str(ivy), "-cache", f"{state}/cache", *wanted]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stdout + done.stderr).strip().splitlines()[-1:]
                raise ThroughlineError(f"the jar {one} cannot be fetched: {''.join(last)}: is the network reachable?")


if __name__ == "__main__":
    install_jars(spark_folder(), (*JARS, *JARS_FOR_S3, *JARS_FOR_FILES_IN_S3))
