"""Fetch jars by Ivy, which pyspark has, without what they depend on, and check that they are the ones we know.

`python -m pipeline.local.install_jars` puts all jars into Spark's own folder when an image is built. Then no start
fetches them, and the drivers and executors of a cluster have them.
"""

import hashlib
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.errors import InputError, ThroughlineError
from pipeline.local.java import prepare_java
from pipeline.local.spark_config import JARS, JARS_FOR_FILES_IN_S3, JARS_FOR_S3, file_names, spark_folder
from pipeline.settings import Settings

NAMES = "[organisation]_[artifact]-[revision].[ext]"
SHA256 = {
    "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0": (
        "d6ea6c5d099288daeb7d5a92061bd3d7d8f296492632b42378e5f2f0e3066242"
    ),
    "org.postgresql:postgresql:42.7.7": "157963d60ae66d607e09466e8c0cdf8087e9cb20d0159899ffca96bca2528460",
    "org.apache.iceberg:iceberg-aws-bundle:1.11.0": "38f01da7e96850cdd05e6616d758b77b43314b712a8808e3f9a824d56976162f",
    "org.apache.hadoop:hadoop-aws:3.4.2": "d2d24e6b715b5656b9d238bf13b6682a07e2004dd36aad74a73aeb854319f4d9",
    "software.amazon.awssdk:s3-transfer-manager:2.44.4": (
        "dbcad736b19f6eb8471f9edf027d9fffe994228f25f415894efd01fd80cb6c02"
    ),
}


def install_jars(folder: Path, coordinates: tuple[str, ...]) -> None:
    """Fetch jars into a folder. coordinates: of Maven, group:name:version.

    Raises ThroughlineError if one cannot be fetched, InputError if it is not the one of `SHA256`.
    """
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
            require_known(one, folder)


def require_known(coordinates: str, folder: Path) -> None:
    """Delete a fetched jar whose bytes are not those of `SHA256`, and raise InputError."""
    [jar] = file_names(folder, [coordinates])
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != SHA256[coordinates]:
        jar.unlink()
        raise InputError(
            f"the jar {coordinates} has SHA-256 {found}, expected {SHA256[coordinates]}: it was changed on its way or "
            f"at its source, so it is deleted; look at the repository or proxy that Ivy fetches from"
        )


if __name__ == "__main__":
    install_jars(spark_folder(), (*JARS, *JARS_FOR_S3, *JARS_FOR_FILES_IN_S3))
