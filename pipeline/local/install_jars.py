"""Fetch jars from a Maven repository, without what they depend on, and check that they are the ones we know.

`python -m pipeline.local.install_jars` puts all jars into Spark's own folder when an image is built. Then no start
fetches them, and the drivers and executors of a cluster have them.
"""

import hashlib
import os
import ssl
from pathlib import Path

import httpx

from pipeline.errors import InputError, ThroughlineError
from pipeline.local.spark_config import JARS, JARS_FOR_FILES_IN_S3, JARS_FOR_S3, file_names, spark_folder

MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
REPOSITORY_VARIABLE = "DEFAULT_ARTIFACT_REPOSITORY"  # Spark's own name for another repository
TIMEOUT_SECONDS = 60.0
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
    """Fetch the jars that a folder lacks. coordinates: of Maven, group:name:version.

    They come from Maven Central, or from the repository that the variable DEFAULT_ARTIFACT_REPOSITORY names.

    Raises ThroughlineError if one cannot be fetched, InputError if it is not the one of `SHA256`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    repository = os.environ.get(REPOSITORY_VARIABLE, MAVEN_CENTRAL).rstrip("/")
    # The certificates of the machine: Java of a wheel does not know that of a proxy in between.
    certificates = ssl.create_default_context()
    with httpx.Client(verify=certificates, follow_redirects=True, timeout=TIMEOUT_SECONDS) as client:
        for one in coordinates:
            [jar] = file_names(folder, [one])
            if not jar.is_file():
                _fetch(client, f"{repository}/{_path_of(one)}", jar)
            require_known(one, folder)


def _path_of(coordinates: str) -> str:
    group, name, version = coordinates.split(":")
    return f"{group.replace('.', '/')}/{name}/{version}/{name}-{version}.jar"


def _fetch(client: httpx.Client, url: str, jar: Path) -> None:
    part = jar.with_suffix(".part")
    try:
        with client.stream("GET", url) as answer, part.open("wb") as file:
            answer.raise_for_status()
            for block in answer.iter_bytes():
                file.write(block)
    except httpx.HTTPError as error:
        part.unlink(missing_ok=True)
        if isinstance(error, httpx.HTTPStatusError):
            why = f"the repository answers {error.response.status_code}."
        else:
            why = f"{error or type(error).__name__}; is the network reachable?"
        raise ThroughlineError(
            f"the jar {url} cannot be fetched: {why} The variable {REPOSITORY_VARIABLE} names another repository"
        ) from None
    part.rename(jar)


def require_known(coordinates: str, folder: Path) -> None:
    """Delete a fetched jar whose bytes are not those of `SHA256`, and raise InputError."""
    [jar] = file_names(folder, [coordinates])
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != SHA256[coordinates]:
        jar.unlink()
        raise InputError(
            f"the jar {coordinates} has SHA-256 {found}, expected {SHA256[coordinates]}: it was changed on its way or "
            f"at its source, so it is deleted; look at the repository or proxy that it comes from"
        )


if __name__ == "__main__":
    install_jars(spark_folder(), (*JARS, *JARS_FOR_S3, *JARS_FOR_FILES_IN_S3))
