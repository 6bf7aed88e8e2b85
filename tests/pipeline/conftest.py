"""Folders of each kind in which a home may keep its files: on disk, and in the S3 of a server on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote_stack import bucket_in_s3
from throughline.stores import path_of


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of a bucket of a server on loopback."""
    with bucket_in_s3() as address:
        yield address


@pytest.fixture(params=["disk", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty folder of each kind."""
    if request.param == "disk":
        return tmp_path
    return path_of(f"{request.getfixturevalue('bucket')}/{tmp_path.name}")
