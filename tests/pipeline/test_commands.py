"""The command lines of the terminal, compared with golden files, and the environment of a step."""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.days import day_range
from pipeline.runner.commands import (
    STEPS,
    CommandLine,
    clusters_command,
    erase_command,
    evaluate_command,
    land_command,
    maintain_command,
    replace_source_command,
    retain_command,
    step_commands,
    step_environment,
    tables_command,
)
from pipeline.settings import ROOT, load_settings

GOLDEN = Path(__file__).parents[1] / "cases" / "command_lines"
DAY = day_range("2026-01-31", None, None)
RANGE = day_range(None, "2026-01-05", "2026-02-01")


def night(days: str) -> list[CommandLine]:
    which = {"day": DAY, "range": RANGE}[days]
    return [command for step in STEPS for command in step_commands(step, which)]


RENDERED = {
    "day": night("day"),
    "range": night("range"),
    "day_with_run_id_and_all_users": [
        command
        for step in STEPS
        for command in step_commands(step, DAY, run_id="manual__2026-02-01", score_all=True)
    ],
    "clusters": [clusters_command(DAY.last)],
    "erase": [
        erase_command("/srv/ids", "shop", True),
        erase_command(None, None, False),
        erase_command("october", None, False, "manual__1"),
    ],
    "evaluate": [evaluate_command(DAY.last, 7), evaluate_command(DAY.last, 1, "try-1")],
    "land": [
        tables_command(),
        land_command(Path("shop.toml"), [Path("logs"), Path("catalogue.jsonl")], None),
        land_command(Path("shop.toml"), [Path("a log.csv")], "2026-01-31"),
    ],
    "maintain": [maintain_command()],
    "retain": [retain_command()],
    "replace_source": [replace_source_command(Path("my shop.toml"), "replay_shop_20260131T040000")],
}  # fmt: skip


def rendered(commands: Sequence[CommandLine]) -> str:
    """Return one command per line, with names instead of the paths of this machine."""
    lines = [f"{command.label}: {shlex.join(command.arguments)}" for command in commands]
    text = "\n".join(lines) + "\n"
    places = {sys.executable: "PYTHON", str(Path(sys.executable).parent): "BIN", str(ROOT): "ROOT"}
    for path, name in places.items():
        text = text.replace(path, name)
    return text


@pytest.mark.parametrize("name", RENDERED)
def test_command_lines_equal_the_golden_file(name: str, golden_text: Callable[[Path, str], None]) -> None:
    golden_text(GOLDEN / f"{name}.txt", rendered(RENDERED[name]))


def test_every_golden_file_has_a_command_line() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(RENDERED)


def test_a_range_has_one_process_per_task() -> None:
    assert [command.label for command in night("range")] == [command.label for command in night("day")]


@pytest.mark.parametrize(
    "command",
    [*night("day"), *RENDERED["land"], *RENDERED["replace_source"], *RENDERED["clusters"]],
    ids=lambda command: command.label,
)
def test_the_files_of_a_command_line_exist(command: CommandLine) -> None:
    program, *arguments = command.arguments
    assert Path(program).is_file()
    assert [one for one in arguments if one.startswith(str(ROOT)) and not Path(one).is_file()] == []


def test_the_environment_of_a_step_names_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))
    environment = step_environment(load_settings())
    conf = str(tmp_path / "conf")
    assert environment["THROUGHLINE_HOME"] == str(tmp_path)
    assert environment["SPARK_CONF_DIR"] == environment["PYICEBERG_HOME"] == conf
    assert environment["PYSPARK_PYTHON"] == sys.executable
    assert (environment["THROUGHLINE_TRANSFORMER_SIZE"], environment["THROUGHLINE_TRAIN_RANKS"]) == ("laptop", "1")
    assert environment["THROUGHLINE_HORIZON_DAYS"] == "7"
    (tmp_path / "settings.toml").write_text(
        'transformer_size = "gpu"\ntrain_ranks = 8\nhorizon_days = 1\n', encoding="utf-8"
    )
    environment = step_environment(load_settings())
    assert (environment["THROUGHLINE_TRANSFORMER_SIZE"], environment["THROUGHLINE_TRAIN_RANKS"]) == ("gpu", "8")
    assert environment["THROUGHLINE_HORIZON_DAYS"] == "1"
