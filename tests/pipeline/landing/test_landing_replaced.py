"""A replaced TOML is read by its own run alone, until that run is published."""

from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.landing.zone import LandingZone

TOML = """
name = "web"
[reader]
format = "csv"
columns = ["user", "at", "type"]
[columns]
user_id = "user"
event_at = "to_timestamp(at)"
event_type = "type"
[event_types.view]
as = "view"
"""
REPLACED = f'{TOML}[event_types.wish]\nas = "like"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for source in ("shop", "web"):
        folder = tmp_path / "landing" / source
        folder.mkdir(parents=True)
        (folder / "source.toml").write_text(TOML.replace("web", source))
    return tmp_path / "landing"


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "my.toml"
    file.write_text(REPLACED)
    return file


def test_only_the_run_itself_reads_it(root: Path, toml: Path) -> None:
    LandingZone(root).replace_source(toml, "replay_1")
    types = {run: set(LandingZone(root, run).sources()["web"].event_types) for run in (None, "replay_1", "night_1")}
    assert types == {None: {"view"}, "replay_1": {"view", "wish"}, "night_1": {"view"}}
    assert [file.parent.name for file in LandingZone(root).source_files()] == ["shop", "web"]
    assert [file.read_text() for file in LandingZone(root, "replay_1").source_files()][1] == REPLACED


def test_every_run_reads_it_once_it_is_taken_over(root: Path, toml: Path) -> None:
    zone = LandingZone(root, "replay_1")
    zone.replace_source(toml, "replay_1")
    LandingZone(root, "night_1").take_over_replaced()
    assert (root / "web" / "source.toml").read_text() == TOML, "another run takes nothing over"
    zone.take_over_replaced()
    zone.take_over_replaced()
    assert (root / "web" / "source.toml").read_text() == REPLACED
    assert zone.source_files() == [root / "shop" / "source.toml", root / "web" / "source.toml"]
    assert zone.replaced_files("web") == []


def test_a_file_left_by_a_killed_run_is_found_and_is_no_landed_day(root: Path, toml: Path) -> None:
    zone = LandingZone(root)
    zone.replace_source(toml, "replay_1")
    assert zone.replaced_files("web") == [zone.replaced_file("web", "replay_1")]
    assert zone.days("web") == {}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('name = "web"', 'name = "blog"', "no source 'blog' has landed: landed are shop, web; check the key 'name'"),
        ('columns = ["u', 'header = true\ncolumns = ["u', r"key 'reader.header' = True, but .* of web .* by False"),
        ('columns = ["u', 'encoding = "latin-1"\ncolumns = ["u', "key 'reader.encoding' = 'iso8859-1', but .*'utf-8'"),
        (
            'format = "csv"\ncolumns = ["user", "at", "type"]',
            'format = "parquet"\nfields = "user STRING, at STRING, type STRING"',
            "key 'reader.format' = 'parquet', but the files of web were split into lines by 'lines of text'",
        ),
    ],
    ids=["another_name", "header", "encoding", "parquet"],
)
def test_a_toml_that_does_not_fit_the_landed_files_is_refused(
    root: Path, toml: Path, before: str, after: str, message: str
) -> None:
    toml.write_text(REPLACED.replace(before, after))
    with pytest.raises(SourceError, match=message):
        LandingZone(root).replace_source(toml, "replay_1")
    assert not list(root.rglob("*/replaced/*"))


def test_a_reader_that_keeps_the_lines_is_accepted(root: Path, toml: Path) -> None:
    toml.write_text(REPLACED.replace('format = "csv"', 'format = "csv"\nseparator = ";"'))
    LandingZone(root).replace_source(toml, "replay_1")


def test_a_kept_toml_that_is_not_allowed_any_more_is_refused_and_can_be_replaced(root: Path, toml: Path) -> None:
    kept = root / "web" / "source.toml"
    kept.write_text(TOML.replace('"type"\n[', '"reflect(type)"\n['))
    with pytest.raises(
        SourceError, match=r"web/source\.toml: key 'columns\.event_type'.*'reflect' is not allowed"
    ) as raised:
        LandingZone(root).sources()
    assert "rejects replay --source" in str(raised.value)
    LandingZone(root).replace_source(toml, "replay_1")
    assert set(LandingZone(root, "replay_1").sources()) == {"shop", "web"}
