"""Fetched jars: from which repository, each with a known hash; another file is refused and deleted."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.errors import InputError, ThroughlineError
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


def test_jars_come_from_the_repository_that_is_named(jars: Path, repository: Path, tmp_path: Path) -> None:
    _, driver = JARS
    place = repository / "org" / "postgresql" / "postgresql" / "42.7.7"
    place.mkdir(parents=True)
    [known] = file_names(jars, [driver])
    shutil.copy(known, place / "postgresql-42.7.7.jar")
    install_jars.install_jars(tmp_path / "jars", (driver,))
    [fetched] = file_names(tmp_path / "jars", [driver])
    assert fetched.read_bytes() == known.read_bytes()
    assert [*fetched.parent.iterdir()] == [fetched]


def test_a_jar_that_the_repository_lacks_is_named(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ThroughlineError, match=r"-42.7.7.jar cannot be fetched: the repository answers 404\. .*DEFAULT_ARTIFACT"
    ):
        install_jars.install_jars(tmp_path / "jars", JARS[1:])
    assert [*(tmp_path / "jars").iterdir()] == []


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a Maven repository on this machine, which is the one to fetch from."""
    folder = tmp_path / "repository"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever).start()
    monkeypatch.setenv("DEFAULT_ARTIFACT_REPOSITORY", f"http://127.0.0.1:{server.server_port}/")
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def jars() -> Path:
    """The jars of the checkout."""
    folder = Path(__file__).parents[3] / ".throughline" / "jars" / "jars"
    if not folder.is_dir():
        pytest.skip(f"no jars in {folder}: `throughline setup` fetches them")
    return folder
