"""Put the jars of the tables into Spark's own folder, when an image is built: `python -m pipeline.local.install_jars`.

Then no start fetches them, and the drivers and executors of a cluster have them. Ivy, which pyspark has, fetches them.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.local.java import prepare_java
from pipeline.local.spark_config import JARS, JARS_FOR_S3, spark_folder
from pipeline.settings import Settings

NAMES = "[organisation]_[artifact]-[revision].[ext]"


def install_jars(folder: Path, coordinates: tuple[str, ...]) -> None:
    """Fetch jars into a folder. coordinates: of Maven, group:name:version. Raises CalledProcessError if one fails."""
    ivy = next(spark_folder().glob("ivy-*.jar"))
    with TemporaryDirectory() as state:
        java = prepare_java(Settings(home=Path(state))).home / "bin" / "java"
        for one in coordinates:
            wanted = ["-dependency", *one.split(":"), "-confs", "master", "-retrieve", f"{folder}/{NAMES}"]
            command = [str(java), "-jar", str(ivy), "-cache", f"{state}/cache", *wanted]
            subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    install_jars(spark_folder(), (*JARS, *JARS_FOR_S3))
