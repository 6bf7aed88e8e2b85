"""The files of a table at another place: real Iceberg metadata of PyIceberg; what a backup refuses and leaves out."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable, Table

from model.registry import Registry, TrackedRun
from pipeline.backup.make import REGISTRY, back_up, not_covered, read_backup
from pipeline.backup.restore import move_registry, restore
from pipeline.backup.table_files import Avro, Relocation, files_of, read_metadata
from pipeline.errors import InputError, UsageError, describe
from pipeline.local.catalog import local_path, require_own_server
from pipeline.settings import load_settings
from pipeline.terminal import open_console

NOW = 1_700_000_000_000  # before the tables are written, so that their times lie ahead


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The warehouse of a table."""
    return tmp_path / "the old höme" / "warehouse"


@pytest.fixture
def kept(old: Path) -> Table:
    """A table of two snapshots, with a branch on the first one."""
    old.mkdir(parents=True)
    catalog = SqlCatalog("made", uri=f"sqlite:///{old}/catalog.db", warehouse=f"file://{old}")
    catalog.create_namespace("interest")
    made = catalog.create_table(("interest", "notes"), schema=pa.schema([("n", pa.int64())]))
    for numbers in ([1, 2], [3]):
        made.append(pa.table({"n": numbers}))
        if not made.refs().keys() - {"main"}:
            made.manage_snapshots().create_branch(made.metadata.current_snapshot_id, "first").commit()
    return made


def test_all_files_of_all_snapshots_are_listed_with_their_bytes(kept: Table, old: Path) -> None:
    found = files_of(local_path(kept.metadata_location))
    data = set((old / "interest" / "notes" / "data").glob("*.parquet"))
    assert len(data) == 2 and data <= found.keys()
    assert all(file.stat().st_size == size for file, size in found.items() if size is not None)
    assert sum(size is not None for size in found.values()) == 4  # and two manifests


def test_a_table_is_read_at_another_place_when_the_old_one_is_gone(kept: Table, old: Path, tmp_path: Path) -> None:
    new = tmp_path / "ein neuer Ort" / "warehouse"
    file = new / local_path(kept.metadata_location).relative_to(old)
    snapshots = {one.snapshot_id: len(kept.scan(snapshot_id=one.snapshot_id).to_arrow()) for one in kept.snapshots()}
    shutil.copytree(old, new)
    shutil.rmtree(old)
    Relocation(old, new, NOW).rewrite(file)
    moved = StaticTable.from_metadata(str(file))
    assert moved.scan().to_arrow()["n"].to_pylist() == [3, 1, 2]
    assert {id: len(moved.scan(snapshot_id=id).to_arrow()) for id in snapshots} == snapshots
    assert moved.refs().keys() == {"main", "first"}
    assert all(found.stat().st_size == size for found, size in files_of(file).items() if size is not None)
    assert not [one for one in new.rglob("*.avro") if str(old).encode() in one.read_bytes()]


def test_times_ahead_are_set_back_and_nothing_but_places_changes(kept: Table, old: Path, tmp_path: Path) -> None:
    before = read_metadata(local_path(kept.metadata_location))
    new = tmp_path / "new"
    shutil.copytree(old, new)
    file = new / local_path(kept.metadata_location).relative_to(old)
    later = int(time.time() * 1000) + 1
    for now, expected in ((later, before["last-updated-ms"]), (NOW, NOW)):
        shutil.copyfile(local_path(kept.metadata_location), file)
        Relocation(old, new, now).rewrite(file)
        assert read_metadata(file)["last-updated-ms"] == expected
        assert {one["timestamp-ms"] for one in read_metadata(file)["snapshots"]} <= (
            {NOW} if now == NOW else {one["timestamp-ms"] for one in before["snapshots"]}
        )
        shutil.rmtree(new)
        shutil.copytree(old, new)
    [manifest] = [one for one in files_of(local_path(kept.metadata_location)) if one.name.endswith("-m0.avro")][:1]
    content = Avro.read(manifest)
    copy = tmp_path / "copy.avro"
    content.write(copy)
    assert Avro.read(copy) == content


def test_a_file_outside_of_the_warehouse_is_an_error(kept: Table, old: Path) -> None:
    with pytest.raises(InputError, match=r"is not in .*elsewhere"):
        Relocation(old / "elsewhere", old, NOW).rewrite(local_path(kept.metadata_location))


def test_a_missing_manifest_is_an_error(kept: Table, old: Path) -> None:
    next(old.rglob("snap-*.avro")).unlink()
    with pytest.raises(InputError, match=r"snap-.*avro is missing"):
        files_of(local_path(kept.metadata_location))


def test_a_folder_without_a_whole_backup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no backup\.json in"):
        read_backup(tmp_path)
    (tmp_path / "backup.json").write_text(json.dumps({"format": 2, "places": {}}))
    with pytest.raises(InputError, match="is not of format 1"):
        read_backup(tmp_path)


def test_a_backup_goes_into_a_new_folder_outside_of_the_home(tmp_path: Path) -> None:
    home, full = tmp_path / "home", tmp_path / "full"
    for folder in (home, full):
        folder.mkdir()
    (full / "file").touch()
    settings = load_settings(home=home)
    with pytest.raises(UsageError, match="is not empty"):
        back_up(settings, full, open_console())
    with pytest.raises(UsageError, match="name a folder elsewhere"):
        back_up(settings, home / "backup", open_console())


def test_what_a_backup_leaves_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_local = not_covered(load_settings(home=tmp_path))
    assert [line.split()[1] for line in of_local] == ["pseudonym", "run"]
    monkeypatch.setenv("THROUGHLINE_CATALOG", '{"type": "rest", "uri": "http://host", "warehouse": "s3://lake/shop"}')
    monkeypatch.setenv("THROUGHLINE_LANDING", "s3://lake/landing")
    monkeypatch.setenv("THROUGHLINE_MODELS", "s3://lake/models")
    monkeypatch.setenv("THROUGHLINE_REGISTRY_URL", "postgresql://user:hush@host/registry")
    found = "\n".join(not_covered(load_settings(home=tmp_path)))
    assert "the tables, which lie in the catalog of the setting catalog (s3://lake/shop)" in found
    assert "the landing zone s3://lake/landing, and the files that landed in place" in found
    assert "the folder of the setting models, s3://lake/models" in found
    assert "the PostgreSQL of the setting registry_url" in found and "hush" not in found


def test_a_home_whose_server_ran_elsewhere_is_refused(tmp_path: Path) -> None:
    options = tmp_path / "copy of it" / "postgres" / "data" / "postmaster.opts"
    options.parent.mkdir(parents=True)
    settings = load_settings(home=tmp_path / "copy of it")
    options.write_text(f'/bin/postgres "-D" "{options.parent}" "-h" "127.0.0.1"\n')
    require_own_server(settings)
    options.write_text('/bin/postgres "-D" "/srv/the shop/postgres/data" "-h" "127.0.0.1"\n')
    with pytest.raises(InputError, match=r"copy of it was moved or copied from /srv/the shop, .*throughline restore"):
        require_own_server(settings)


@pytest.mark.parametrize("name", ["a#b", "a?b", "a:b", 'a"b', "a\nb"])
def test_a_home_whose_path_would_be_cut_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"setting home = .*expected none of"):
        load_settings(home=tmp_path / name)
    assert load_settings(home=tmp_path / "it's 100% ä").home.name == "it's 100% ä"


def test_the_message_of_a_clock_that_was_ahead_says_until_when() -> None:
    error: Any = ValueError("Invalid update timestamp 1795945359062: before last snapshot log entry at 1796204538292")
    assert describe(error).startswith("the tables were written at 2026-12-02 09:42 UTC by a clock that was ahead")
    assert "`throughline restore`" in describe(error)


def test_later_trainings_of_a_restored_home_write_into_it(tmp_path: Path) -> None:
    """MLflow keeps the place of its artifacts in its database."""
    old, new = tmp_path / "the old höme", tmp_path / "ein neuer Ort"
    page = tmp_path / "page.html"
    page.touch()
    run = TrackedRun("trials", "run", tags={}, parameters={}, metrics={}, artifacts=[page])
    Registry(old).track(run)
    shutil.copytree(old, new)
    shutil.rmtree(old)
    move_registry(new / REGISTRY, old, new)
    Registry(new).track(run)
    assert len(list((new / "mlruns").rglob("page.html"))) == 2
    assert not old.exists()


@pytest.fixture
def small_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backup of a home that has landed a file and has no tables yet."""
    folder = tmp_path / "backup"
    for name in ("home/reports", "landing/shop"):
        (folder / name).mkdir(parents=True)
    (folder / "landing" / "shop" / "source.toml").touch()
    record = {"format": 1, "made_at": "", "code_version": "", "home": "/old", "tables": {}, "files": 1, "bytes": 0}
    (folder / "backup.json").write_text(json.dumps(record))
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "of the test"))  # which `restore` sets
    return folder


def test_a_home_with_files_is_not_restored_into(small_backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "landing").mkdir(parents=True)
    with pytest.raises(UsageError, match="has landing: expected a new or empty folder"):
        restore(small_backup, home, None, open_console())
    assert [one.name for one in home.iterdir()] == ["landing"]


def test_the_landing_zone_of_the_original_is_left_alone(
    small_backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """settings.toml of the backup may name it. What was copied is removed, so that the command can be tried again."""
    zone, home = tmp_path / "zone of the original", tmp_path / "home"
    (zone / "shop").mkdir(parents=True)
    (small_backup / "home" / "settings.toml").write_text(f'landing = "{zone}"\n')
    with pytest.raises(InputError, match=r"the landing zone .* is not empty.*THROUGHLINE_LANDING"):
        restore(small_backup, home, None, open_console())
    assert not list(home.iterdir()) and not list((zone / "shop").iterdir())
