"""`source check` and `source new`: what they show, write and refuse. The job itself runs here in the tests' Spark."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import pipeline.runner.source as commands
from pipeline.errors import InputError, UsageError
from pipeline.landing.staging import input_files, sort_files
from pipeline.runner.source import guess_files
from pipeline.settings import Settings
from pipeline.sources.schema import Source, load_source
from pipeline.sources.toml_text import toml_text
from pipeline.transforms.clean import validate
from pipeline.transforms.trial import Trial, land_first_lines, stage_catalogues, trial

TOML = """
name = "shop"
[reader]
format = "csv"
header = true
columns = ["user", "time", "type", "item", "topics"]
[columns]
user_id = "user"
event_at = "to_timestamp(time)"
event_type = "type"
item_id = "item"
tags = "split(topics, '[|]')"
[reject_when]
heartbeat = "type = 'heartbeat'"
[event_types.view]
as = "view"
[event_types.buy]
as = "purchase"
"""
LOG = """user,time,type,item,topics
u1,2026-03-01T10:00:00Z,view,a,garden|photo
u1,2026-03-02T10:00:00Z,buy,a,garden
u2,2026-03-02T11:00:00Z,view,b,
u2,soon,view,b,
u3,2026-03-02T11:00:00Z,wish,b,
u3,2026-03-02T11:00:00Z,wish,c,
,2026-03-02T11:00:00Z,view,c,
u1,2026-03-02T11:00:00Z,heartbeat,,
"""


def write_shop(folder: Path) -> Source:
    (folder / "log.csv").write_text(LOG)
    (folder / "shop.toml").write_text(TOML)
    return load_source(folder / "shop.toml")


@pytest.fixture
def shop(tmp_path: Path) -> Source:
    """The source `shop`; its log lies in log.csv."""
    return write_shop(tmp_path)


@pytest.fixture(scope="module")
def lines_of(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return the function that reads the first lines of files as the job does."""

    def read(source: Source, *files: Path, count: int = 10_000) -> Any:
        return land_first_lines(spark, source, files, count, tmp_path_factory.mktemp("landed"))

    return read


@pytest.fixture(scope="module")
def tried(lines_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("shop")
    source = write_shop(folder)
    return trial(lines_of(source, folder / "log.csv"), source, Settings(home=folder))


def test_lines_are_counted_by_outcome_with_one_example_a_reason(tried: Trial) -> None:
    assert (tried.lines, tried.accepted, tried.excluded) == (8, 3, 1)
    reasons = {row["reason"]: (row["lines"], row["line"], row["is_excluded"]) for row in tried.reasons}
    assert reasons == {
        "unknown_event_type": (2, 6, False), "heartbeat": (1, 9, True), "missing_event_at": (1, 5, False),
        "missing_user": (1, 8, False),
    }  # fmt: skip
    assert tried.reasons[0]["reason"] == "unknown_event_type"
    assert tried.reasons[0]["text"] == "u3,2026-03-02T11:00:00Z,wish,b,"
    assert "wish" in tried.reasons[0]["detail"] and tried.reasons[0]["file"] == "log.csv"


def test_a_line_of_many_events_is_counted_once(lines_of: Any, tmp_path: Path) -> None:
    (tmp_path / "paths.csv").write_text(
        "u1,2026-03-01T10:00:00Z,a;<;<;b\nu1,2026-03-01T11:00:00Z,<;<\n,2026-03-01T12:00:00Z,a;<\nu2,soon,a\n"
    )
    source = Source.model_validate(
        {
            "name": "paths",
            "reader": {"format": "csv", "columns": ["user", "time", "path"]},
            "unfold": {"each": "split(path, ';')"},
            "columns": {
                "user_id": "user", "event_at": "to_timestamp(time)", "event_type": "'view'", "item_id": "each",
            },
            "event_types": {"view": {"as": "view"}},
            "reject_when": {"back_click": "each = '<'"},
        }
    )  # fmt: skip
    found = trial(lines_of(source, tmp_path / "paths.csv"), source, Settings(home=tmp_path))
    assert (found.lines, found.accepted, found.rejected, found.excluded, found.events) == (4, 1, 2, 1, 2)


def test_the_accepted_events_are_summarized(tried: Trial) -> None:
    assert (tried.events, tried.users, tried.items, tried.without_tags) == (3, 2, 2, 1)
    assert (tried.first_day, tried.last_day, tried.days) == ("2026-03-01", "2026-03-02", 2)
    assert tried.event_types == [{"event_type": "view", "events": 2}, {"event_type": "purchase", "events": 1}]
    assert tried.tags == [{"tag": "garden", "events": 2}, {"tag": "photo", "events": 1}]


def test_a_trial_refuses_what_clean_refuses(shop: Source, lines_of: Any, tmp_path: Path, tried: Trial) -> None:
    validated = validate(lines_of(shop, tmp_path / "log.csv"), shop, b"key", Settings(home=tmp_path))
    by_clean = {
        row.reason: row["count"] for row in validated.where("reason IS NOT NULL").groupBy("reason").count().collect()
    }
    assert {row["reason"]: row["lines"] for row in tried.reasons} == by_clean


def test_a_catalogue_gives_its_tags_and_is_judged(lines_of: Any, tmp_path: Path, spark: Any) -> None:
    source = write_shop(tmp_path)
    items = {"files": "items*", "item_id": "id", "tags": "split(topics, '[|]')",
             "reader": {"format": "csv", "columns": ["id", "topics"]}}  # fmt: skip
    source = Source.model_validate({**source.model_dump(by_alias=True, exclude_none=True), "items": items})
    (tmp_path / "items.csv").write_text("b,garden|lamp\n,nothing\n")
    files = sort_files(input_files([tmp_path / "log.csv", tmp_path / "items.csv"]), source)
    of_catalogues = stage_catalogues(spark, source, files.catalogues, tmp_path)
    found = trial(lines_of(source, tmp_path / "log.csv"), source, Settings(home=tmp_path), of_catalogues)
    assert found.tags == [{"tag": tag, "events": n} for tag, n in (("garden", 3), ("lamp", 1), ("photo", 1))]
    assert found.without_tags == 0 and found.catalogue is not None
    assert found.catalogue[0] == "1 records of 1 items" and "line 2: no item_id" in found.catalogue[1]
    assert stage_catalogues(spark, source, [], tmp_path) is None


def test_each_file_gives_its_part_of_the_lines(shop: Source, lines_of: Any, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text(LOG)
    found = lines_of(shop, tmp_path / "log.csv", tmp_path / "other.csv", count=4).orderBy("file", "line").collect()
    places = [(row.file, row.line) for row in found]
    assert places == [(file, line) for file in ("log.csv", "other.csv~1") for line in (2, 3)]


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that runs a command with a report in the place of the job, and returns what was printed."""
    out = io.StringIO()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "prepare_environment", lambda console: None)

    def run(command: Callable[..., None], *arguments: Any, report: dict[str, Any]) -> str:
        def run_all(jobs: Any, *rest: Any) -> None:
            [job] = jobs
            assert job.words[:2] == ("--source", "shop.toml")
            Path(job.words[job.words.index("--report") + 1]).write_text(json.dumps(report))

        monkeypatch.setattr(commands, "run_all", run_all)
        try:
            command(*arguments, Console(file=out, width=200, color_system=None))
        except InputError as error:
            out.write(f"refused: {error}")
        return out.getvalue()

    return run


def report_of(accepted: int, lines: int = 10, excluded: int = 0) -> dict[str, Any]:
    row = {"reason": "unparsable", "lines": lines - accepted, "detail": "no JSON", "file": "log.csv", "line": 4}
    return {
        "lines": lines, "accepted": accepted, "rejected": lines - accepted - excluded, "excluded": excluded,
        "events": accepted, "users": 2, "items": 3, "first_day": "2026-03-01",
        "last_day": "2026-03-02", "days": 2, "without_tags": 1,
        "reasons": [{**row, "text": "[red]\x1b[31m", "is_excluded": False}],
        "event_types": [{"event_type": "view", "events": accepted}], "tags": [{"tag": "garden", "events": 3}],
        "catalogue": None,
    }  # fmt: skip


def test_a_check_shows_what_is_accepted_and_refused(shop: Source, printed: Any) -> None:
    text = printed(commands.check_source, "shop.toml", [Path("log.csv")], report=report_of(8))
    assert "of the first 10 lines 8 are accepted, 2 rejected and 0 excluded by [reject_when]" in text
    assert "log.csv:4  [red]\\x1b[31m" in text and "no JSON" in text
    assert "events: 8, users: 2, items: 3, from 2026-03-01 to 2026-03-02, on days: 2" in text
    assert "tags: garden 3; events without a tag: 1" in text and "refused" not in text


def test_a_check_asks_for_the_catalogue_or_shows_it(shop: Source, printed: Any, tmp_path: Path) -> None:
    with (tmp_path / "shop.toml").open("a") as toml:
        toml.write('[items]\nfiles = "items*"\nitem_id = "item"\n[items.reader]\nformat = "tsv"\ncolumns = ["item"]\n')
    text = printed(commands.check_source, "shop.toml", [Path("log.csv")], report=report_of(8))
    assert "note: no catalogue of [items] is among these files" in text
    report = {**report_of(8), "catalogue": ["3 records of 3 items", "1 line gives no item"]}
    text = printed(commands.check_source, "shop.toml", [Path("log.csv")], report=report)
    assert text.endswith("catalogues of items: 3 records of 3 items\nwarning: 1 line gives no item\n")


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (report_of(7), "refused: shop.toml accepts 7 of 10 lines: a night needs 80%"),
        (report_of(4, excluded=5), ""),
        (report_of(0, excluded=10), "accepts 0 of 0 lines"),
    ],
)
def test_a_check_fails_where_a_night_would(shop: Source, printed: Any, report: dict[str, Any], message: str) -> None:
    text = printed(commands.check_source, "shop.toml", [Path("log.csv")], report=report)
    assert (message in text) if message else ("refused" not in text)


def test_new_writes_a_toml_and_tries_it(shop: Source, printed: Any, tmp_path: Path) -> None:
    (tmp_path / "shop.toml").unlink()
    text = printed(commands.new_source, [Path("log.csv")], "shop", None, False, report=report_of(9))
    assert "user_id" in text and "user: 7 of 8 lines have it, 3 different" in text
    assert "of the first 10 lines 9 are accepted" in text
    assert "Next: throughline land --source shop.toml log.csv" in text
    assert load_source(tmp_path / "shop.toml").name == "shop"


def test_new_replaces_no_file_unless_forced(shop: Source, printed: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"shop\.toml exists already: add --force to replace it"):
        printed(commands.new_source, [Path("log.csv")], "shop", None, False, report={})
    assert (tmp_path / "shop.toml").read_text() == TOML
    printed(commands.new_source, [Path("log.csv")], "shop", None, True, report=report_of(9))
    assert (tmp_path / "shop.toml").read_text() != TOML


def test_new_writes_what_it_is_not_sure_of_as_comments_and_fails(printed: Any, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("17,4711,view,1772359200\n18,4712,view,1772359260\n")
    text = printed(commands.new_source, [Path("log.csv")], None, Path("own.toml"), False, report={})
    assert "wrote own.toml" in text
    assert (
        "refused: own.toml is not complete, since the log does not say enough:\n  user_id: the log has no header"
        in text
    )
    assert "then run: throughline source check own.toml log.csv" in text
    assert '#user_id = "column_1"' in (tmp_path / "own.toml").read_text()


def test_a_guessed_toml_accepts_its_log(spark: Any, lines_of: Any, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "guessed.toml").write_text(toml_text(guess_files([tmp_path / "log.csv"]), "shop", "log.csv"))
    source = load_source(tmp_path / "guessed.toml")
    found = trial(lines_of(source, tmp_path / "log.csv"), source, Settings(home=tmp_path))
    assert (found.lines, found.accepted) == (8, 6)
    assert {row["reason"] for row in found.reasons} == {"missing_event_at", "missing_user"}


@pytest.mark.real_data
@pytest.mark.parametrize(("file", "accepted", "excluded"), [("taobao/UserBehavior.csv", 10_000, 0)])
def test_the_guessed_toml_of_a_public_log_accepts_it(
    lines_of: Any, real_data: Path, tmp_path: Path, file: str, accepted: int, excluded: int
) -> None:
    (tmp_path / "guessed.toml").write_text(toml_text(guess_files([real_data / file]), "guessed", file))
    source = load_source(tmp_path / "guessed.toml")
    found = trial(lines_of(source, real_data / file), source, Settings(home=tmp_path))
    assert (found.lines, found.accepted, found.excluded) == (10_000, accepted, excluded)
