"""A registry of two machines: files in a folder or in S3, versions in PostgreSQL. A home stands for a machine."""

import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from model.errors import InputError, ModelError, UsageError
from model.registry import Registry, TrackedRun, Training, Version, registry_of
from pipeline.local import postgres
from pipeline.settings import Settings
from tests.remote_stack import free_port
from throughline.stores import is_remote

pytestmark = pytest.mark.end_to_end

DAY = date(2026, 1, 25)
TRAINING = Training("training_20260125", {"leaves": 7}, {"ndcg_at_10": 0.5}, DAY, 42, {"won": True})


@pytest.fixture(scope="module")
def server() -> Iterator[Settings]:
    with TemporaryDirectory(prefix="throughline-tests-") as folder:
        settings = Settings(home=Path(folder) / "of-the-server", postgres_port=free_port())
        postgres.start(settings)
        yield settings
        postgres.stop(settings)


@pytest.fixture
def database(server: Settings, request: pytest.FixtureRequest) -> str:
    name = f"registry_{zlib.crc32(request.node.name.encode())}"
    postgres.create_database(server, name)
    return postgres.url(server, name)


@pytest.fixture
def machines(tmp_path: Path, store: str, database: str) -> list[Registry]:
    return [Registry(tmp_path / name, store=store, database=database) for name in ("one", "two")]


def write(folder: Path) -> None:
    (folder / "model.json").write_text("{}")
    (folder / "trees-0.ubj").write_bytes(b"\x00\xff")


def register(registry: Registry) -> Version:
    return registry.register("boosting-1", TRAINING, registry.record(TRAINING), write, is_promoted=True)


def test_what_one_machine_trains_another_loads(machines: list[Registry], tmp_path: Path) -> None:
    one, two = machines
    assert two.versions() == []
    made = register(one)
    [found] = two.versions()
    assert found == made
    folder = two.folder_of(found)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "model.json": b"{}",
        "trees-0.ubj": b"\x00\xff",
    }
    report = next((two.files.place / "artifacts").rglob("report.json"))
    assert json.loads(report.read_text()) == {"won": True}
    page = tmp_path / "page.html"
    page.write_text("figures")
    run = two.track(TrackedRun("evaluations", "evaluation_1", {}, {}, {}, [page]))
    assert one.files.artifact(run, "page.html").read_text() == "figures"


def test_two_trainings_of_one_day_at_once_get_two_names(machines: list[Registry]) -> None:
    with ThreadPoolExecutor() as both:
        made = list(both.map(register, machines))
    assert sorted(version.name for version in made) == ["boosting-1.20260125", "boosting-1.20260125.2"]
    assert sorted(version.name for version in machines[0].versions()) == sorted(version.name for version in made)


def test_damage_of_a_copy_is_repaired_and_damage_of_the_store_is_refused(machines: list[Registry]) -> None:
    made = register(machines[0])
    other = machines[1]
    copied, kept = other.folder_of(made) / "model.json", other.files.kept(made.name) / "model.json"
    copied.write_text("[]")
    if is_remote(kept):  # else there is no copy
        assert (other.folder_of(made) / "model.json").read_text() == "{}"
        kept.write_text("[]")
        copied.write_text("[]")
    with pytest.raises(InputError, match=r"is not the one registered as boosting-1\.20260125: found sha256"):
        other.folder_of(made)


def test_the_password_of_the_database_is_shown_nowhere(machines: list[Registry], database: str) -> None:
    password = database.split(":")[2].split("@")[0]
    assert password not in repr(machines[0])


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MODELS": "s3://lake/models"}, "THROUGHLINE_REGISTRY_URL is not set: models in S3 need a PostgreSQL"),
        ({"MODELS": "gs://lake/models"}, "THROUGHLINE_MODELS: gs://lake/models: expected a path of this machine"),
        ({"REGISTRY_URL": "mysql://host/x"}, "THROUGHLINE_REGISTRY_URL: expected a URL that begins with postgresql://"),
    ],
)
def test_a_broken_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"THROUGHLINE_{name}", value)
    with pytest.raises(UsageError) as broken:
        registry_of(tmp_path)
    assert expected in str(broken.value)


def test_a_database_that_does_not_answer_is_one_line_without_its_password(tmp_path: Path) -> None:
    registry = Registry(tmp_path, database=f"postgresql://user:hush@127.0.0.1:{free_port()}/registry")
    with pytest.raises(ModelError, match="THROUGHLINE_REGISTRY_URL: PostgreSQL does not answer") as away:
        registry.versions()
    assert "hush" not in str(away.value) and "\n" not in str(away.value)
