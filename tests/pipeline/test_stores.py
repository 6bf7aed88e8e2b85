"""Folders in S3 under the methods of pathlib, on a real S3 server where one is installed."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.erasure import is_unfinished
from pipeline.erasure.journal import Journal, JournalFolder
from pipeline.erasure.plan import People
from pipeline.erasure.purge import remove_working_files
from pipeline.erasure.receipt import models_trained_since
from pipeline.erasure.tombstones import bury, tombstone_key, tombstones
from pipeline.errors import InputError, UsageError
from pipeline.files import replaced_whole, write_whole
from pipeline.landing.landed_days import drop_day, move_day
from pipeline.landing.line_texts import read_texts
from pipeline.landing.zone import LandingZone
from pipeline.settings import ROOT, load_settings
from tests.remote_stack import BUCKET, HOST, S3Server, busy_server, free_port, running, s3_variables, why_not
from throughline.stores import fetched, is_remote, make_folder, move, path_of, remove_folder

BUSY_SECONDS = 5
DAY, NEXT = date(2026, 1, 31), date(2026, 2, 1)


@pytest.fixture
def root(store: Path) -> Path:
    """A landing zone that is not there yet."""
    return store / "landing"


def lines(*numbers: int) -> pa.Table:
    columns = {"file": ["log"] * len(numbers), "line": list(numbers), "text": [f"text {one}" for one in numbers]}
    return pa.table({**columns, "header": pa.nulls(len(numbers), pa.string())})


@pytest.fixture
def zone(root: Path) -> LandingZone:
    """A zone with one source and two lines on a day."""
    made = LandingZone(root)
    write_whole(root / "taobao" / "source.toml", (ROOT / "pipeline" / "sources" / "taobao.toml").read_text())
    make_folder(made.day_folder("taobao", DAY))
    with replaced_whole(made.day_folder("taobao", DAY) / "a.parquet") as file:
        pq.write_table(lines(1, 2), file)
    made.close_day("taobao", DAY)
    return made


@pytest.mark.parametrize(
    "look",
    [
        lambda folder: folder.exists(),
        lambda folder: folder.is_dir(),
        lambda folder: folder.is_file(),
        lambda folder: list(folder.iterdir()),
        lambda folder: list(folder.glob("*/*.toml")),
        lambda folder: list(folder.rglob("*.parquet")),
        lambda folder: LandingZone(folder).source_files(),
    ],
    ids=["exists", "is_dir", "is_file", "iterdir", "glob", "rglob", "sources"],
)
def test_a_server_that_does_not_answer_is_no_empty_folder(
    look: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night would take its day for empty."""
    variables = {"AWS_ENDPOINT_URL": f"http://{HOST}:{free_port()}", "AWS_REGION": "eu-west-1"}
    for name, value in {**variables, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("throughline.stores.ATTEMPTS", 1)
    with pytest.raises(OSError, match="lake"):
        look(path_of("s3://lake/landing"))


def test_a_zone_is_the_same_on_a_disk_and_in_s3(zone: LandingZone) -> None:
    assert list(zone.sources()) == ["taobao"]
    assert {day: one.lines for day, one in zone.days("taobao").items()} == {DAY: 2}
    place = ("taobao", DAY, "log", 2)
    assert read_texts(zone, [place, ("taobao", DAY, "log", 3)]) == {place: "text 2"}
    assert move_day(zone, "taobao", DAY, NEXT).lines == 2
    assert {day: one.lines for day, one in zone.days("taobao").items()} == {DAY: 0, NEXT: 2}
    assert drop_day(zone, "taobao", NEXT).lines == 2
    assert zone.lines_through(NEXT) == 0
    assert [one.day for one in zone.remove_before("taobao", NEXT)] == [DAY]
    assert list(zone.days("taobao")) == [NEXT]


def add_file(zone: LandingZone, name: str) -> None:
    """Land a file of two lines on the day, as a machine of its own would."""
    with replaced_whole(zone.day_folder("taobao", DAY) / f"{name}.parquet") as file:
        pq.write_table(lines(1, 2), file)
    zone.close_day("taobao", DAY)


def test_a_marker_that_is_late_counts_what_came_before_it(zone: LandingZone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second machine lands and closes the day between the look of the first into the folder and its marker."""
    monkeypatch.setattr("pipeline.landing.zone.write_whole", lambda *_: overtaken(*_))

    def overtaken(marker: Path, content: str) -> None:
        monkeypatch.setattr("pipeline.landing.zone.write_whole", write_whole)
        add_file(LandingZone(zone.root), "of-second")
        assert zone.days("taobao")[DAY].lines == 6
        write_whole(marker, content)
        assert zone.days("taobao")[DAY].lines == 4, "the marker of the first knows its own file only"

    add_file(zone, "of-first")
    assert zone.days("taobao")[DAY].lines == 6


def test_machines_that_land_on_one_day_at_once_lose_no_line(zone: LandingZone) -> None:
    machines, files = 4, 5
    with ThreadPoolExecutor(machines) as pool:
        for done in [pool.submit(add_file, LandingZone(zone.root), f"{machine}-{number}")
                     for number in range(files) for machine in range(machines)]:  # fmt: skip
            done.result()
    assert zone.days("taobao")[DAY].lines == 2 * (1 + machines * files)


def test_a_day_is_closed_by_its_marker_alone(zone: LandingZone) -> None:
    (zone.day_folder("taobao", DAY) / "_LANDED").unlink()
    assert zone.days("taobao") == {}


def test_a_replaced_toml_becomes_that_of_its_source(zone: LandingZone, root: Path, tmp_path: Path) -> None:
    toml = tmp_path / "taobao.toml"
    toml.write_text((root / "taobao" / "source.toml").read_text() + "\n# corrected\n")
    zone.replace_source(toml, "run_1")
    of_run = LandingZone(root, "run_1")
    assert "# corrected" in of_run.source_files()[0].read_text()
    assert "# corrected" not in zone.source_files()[0].read_text()
    of_run.take_over_replaced()
    assert "# corrected" in zone.source_files()[0].read_text() and not zone.replaced_files("taobao")


def test_a_file_that_fails_leaves_nothing(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), replaced_whole(root / "a.json") as file:
        file.write_text(str(1 / 0))
    assert not (root / "a.json").exists()
    make_folder(root)
    with pytest.raises(FileNotFoundError):
        move(Path("/nothing/here"), root / "b.json")
    assert not (root / "b.json").exists()


def test_files_of_a_store_are_copied_with_their_names(bucket: str, tmp_path: Path) -> None:
    folder = path_of(f"{bucket}/{tmp_path.name}/logs")
    write_whole(folder / "dt=1" / "a.json", json.dumps(1))
    write_whole(folder / "b.json", json.dumps(2))
    with fetched([folder, folder / "b.json", tmp_path], tmp_path / "staging") as found:
        names = sorted(str(file.relative_to(found[0])) for file in found[0].rglob("*") if file.is_file())
        assert (names, found[1].name, found[1].read_text(), found[2]) == (
            ["b.json", "dt=1/a.json"],
            "b.json",
            "2",
            tmp_path,
        )
    assert not list((tmp_path / "staging").iterdir())
    remove_folder(folder)
    assert not [file for file in folder.rglob("*") if file.is_file()]


def test_a_server_that_answers_503_for_some_seconds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := why_not():
        pytest.skip(reason)
    (tmp_path / "s3" / BUCKET).mkdir(parents=True)
    with ThreadPoolExecutor(1) as beside:
        with busy_server() as port:
            for name, value in s3_variables(f"http://{HOST}:{port}").items():
                monkeypatch.setenv(name, value)
            written = beside.submit(write_whole, path_of(f"s3://{BUCKET}/a.json"), "content")
            time.sleep(BUSY_SECONDS)
            assert not written.done()
        with running(S3Server(tmp_path, port)):
            written.result()
            assert path_of(f"s3://{BUCKET}/a.json").read_text() == "content"


def test_another_store_is_refused() -> None:
    for place in ("gs://bucket/folder", "s3://"):
        with pytest.raises(ValueError, match="expected a path of this machine or s3://bucket/folder"):
            path_of(place)


def test_the_setting_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THROUGHLINE_LANDING", raising=False)
    assert load_settings(home=tmp_path).landing_folder == tmp_path / "landing"
    remote = load_settings(home=tmp_path, landing="s3://lake/landing")
    assert is_remote(remote.landing_folder) and str(remote.landing_folder) == "s3://lake/landing" and remote.uses_s3
    with pytest.raises(UsageError, match="setting landing = 'logs'"):
        load_settings(home=tmp_path, landing="logs")


def test_an_erasure_empties_an_exchange_outside_of_the_home_of_its_runs(root: Path, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home", exchange=str(root))
    profiles = root / "night_20260131" / "profiles"
    make_folder(profiles)
    (profiles / f"as_of={DAY}.parquet").write_bytes(b"profiles")
    (root / "night_20260131" / "manifest.json").write_text("{}")
    make_folder(root / "of_others")
    (root / "of_others" / "notes.txt").write_text("of another program")
    noted: list[Path] = []
    remove_working_files(settings, noted.append)
    assert sorted(file.name for file in noted) == [f"as_of={DAY}.parquet", "manifest.json"]
    left = [file.name for file in root.rglob("*") if file.is_file()]
    assert left == ["notes.txt"]


def test_an_erasure_deletes_the_checkpoints_of_trainings_that_machines_share(root: Path, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home", models=str(root))
    write_whole(root / "checkpoints" / "training_20260201" / "7" / "network-1.pt", "weights")
    write_whole(root / "models" / "boosting-1.20260201" / "model.json", "{}")
    noted: list[Path] = []
    remove_working_files(settings, noted.append)
    assert [file.name for file in noted] == ["network-1.pt"]
    assert [file.name for file in root.rglob("*") if file.is_file()] == ["model.json"]


def test_a_file_moves_to_another_disk_whole_and_as_private_as_before(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as folder:
        if Path(folder).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("no second disk")
        file, to = tmp_path / "lines", Path(folder, "lines")
        file.write_bytes(b"lines")
        file.chmod(0o600)
        move(file, to)
        assert to.read_bytes() == b"lines" and to.stat().st_mode & 0o777 == 0o600
        assert not file.exists() and list(Path(folder).iterdir()) == [to]
        with pytest.raises(FileNotFoundError):
            move(file, to)


def test_an_erasure_deletes_what_a_killed_landing_left_in_the_landing_zone(root: Path, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home", landing=str(root))
    write_whole(LandingZone(root).shared_staging("shop") / "a.parquet", "lines")
    write_whole(root / "shop" / "source.toml", "")
    noted: list[Path] = []
    remove_working_files(settings, noted.append)
    assert [file.name for file in noted] == ["a.parquet"]
    assert [file.name for file in root.rglob("*") if file.is_file()] == ["source.toml"]


def test_machines_that_share_a_landing_zone_share_tombstones_and_see_an_erasure(root: Path, tmp_path: Path) -> None:
    """Else a night of another machine would take later lines of erased people, or come in between."""
    one, two = (load_settings(home=tmp_path / name, landing=str(root)) for name in ("one", "two"))
    assert tombstones(two) == [] and not is_unfinished(two)
    bury(one, ["u"], ["d"])
    assert len(tombstones(two)) == 2 and tombstone_key(two) == tombstone_key(one)
    bury(two, ["v"], [])
    assert len(tombstones(one)) == 3

    people = People(("u",), ("d",))
    journal = Journal("n", "d", 1, "2026-01-06 00:00:00", "me", "run", people, DAY, None, {"events": 1}, 1, [], {})
    rows = pa.table({"session_id": ["s"]})
    JournalFolder(one).begin(journal, rows, rows, rows)
    JournalFolder(one).note("landed", tmp_path / "file", 7)
    assert is_unfinished(two)
    there = JournalFolder(two)
    assert there.read() == journal and there.rows_of(there.sessions_file) == rows
    there.set_written(["shop"])
    assert JournalFolder(one).is_written and JournalFolder(one).retrained() == ["shop"]
    assert JournalFolder(one).noted("landed") == {str(tmp_path / "file"): 7} and there.noted("landed") == {}
    there.end()
    assert not is_unfinished(one) and len(tombstones(one)) == 3


def test_tombstones_of_a_home_move_to_the_landing_zone_that_it_shares_now(root: Path, tmp_path: Path) -> None:
    alone = load_settings(home=tmp_path / "home")
    bury(alone, ["u"], [])
    buried, key = tombstones(alone), tombstone_key(alone)
    shared = load_settings(home=tmp_path / "home", landing=str(root))
    assert tombstones(shared) == buried and tombstone_key(shared) == key
    assert list((tmp_path / "home" / "erasure").iterdir()) == []
    other = load_settings(home=tmp_path / "other")
    bury(other, ["v"], [])
    with pytest.raises(InputError, match="two homes that now share a landing zone erased people before"):
        tombstones(load_settings(home=tmp_path / "other", landing=str(root)))


def test_a_receipt_names_the_models_that_were_trained_since(store: Path) -> None:
    for version in ("boosting-1.20260130", "boosting-1.20260131", "transformer-1.20260201.2", ".unfinished"):
        write_whole(store / "models" / version / "model.json", "{}")
    assert models_trained_since(store, DAY) == ["boosting-1.20260131", "transformer-1.20260201.2"]
    assert models_trained_since(store, None) == models_trained_since(store / "nothing", DAY) == []
