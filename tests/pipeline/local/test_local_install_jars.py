"""Fetched jars: each has a known hash, and another file is refused and deleted."""

import hashlib
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.local import install_jars
from pipeline.local.install_jars import SHA256, require_known
from pipeline.local.spark_config import JARS, JARS_FOR_FILES_IN_S3, JARS_FOR_S3, file_names


def test_all_jars_have_a_hash(jars: Path) -> None:
    assert {*SHA256} == {*JARS, *JARS_FOR_S3, *JARS_FOR_FILES_IN_S3}
    for one in JARS:
        require_known(one, jars)


def test_a_jar_with_other_bytes_is_refused_and_deleted(tmp_path: Path) -> None:
    [jar] = file_names(tmp_path, JARS[:1])
    jar.write_bytes(b"something else")
    with pytest.raises(InputError, match=f"has SHA-256 {hashlib.sha256(b'something else').hexdigest()}, expected d6ea"):
        install_jars.require_known(JARS[0], tmp_path)
    assert not jar.exists()


@pytest.fixture
def jars() -> Path:
    """The jars of the checkout."""
    folder = Path(__file__).parents[3] / ".throughline" / "jars" / "jars"
    if not folder.is_dir():
        pytest.skip(f"no jars in {folder}: `throughline setup` fetches them")
    return folder
