"""A newcomer's first commands when something is missing: one clear line, and nothing half-written."""

import socket
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.end_to_end


def only_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_a_busy_port(bare_installation: Any) -> None:
    with socket.socket() as other_program:
        other_program.bind(("127.0.0.1", 0))
        other_program.listen()
        port = str(other_program.getsockname()[1])
        done = bare_installation.call("setup", THROUGHLINE_POSTGRES_PORT=port)
    assert done.returncode == 3
    line = only_line(done.stderr)
    assert f"port {port} is in use by another program" in line
    assert "set THROUGHLINE_POSTGRES_PORT to a free port" in line
    assert not (bare_installation.home / "landing").exists()


def test_too_little_free_space(bare_installation: Any) -> None:
    done = bare_installation.call("setup", THROUGHLINE_MIN_FREE_GIB="1000000")
    assert done.returncode == 3
    assert "expected at least 1e+06" in only_line(done.stderr)
    assert "lower THROUGHLINE_MIN_FREE_GIB" in done.stderr
    assert not bare_installation.home.exists()


def test_a_misspelt_setting(bare_installation: Any) -> None:
    done = bare_installation.call("doctor", THROUGHLINE_SPARC_MASTER="local[2]")
    assert done.returncode == 2
    assert "unknown setting THROUGHLINE_SPARC_MASTER" in only_line(done.stderr)


@pytest.mark.parametrize(
    ("toml", "found"),
    [
        ("name = ", "not a TOML file"),
        ('name = "shop"\ncolour = "red"', "unknown key 'colour'"),
    ],
)
def test_a_wrong_toml_is_refused_before_anything_starts(
    bare_installation: Any, tmp_path: Path, toml: str, found: str
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(toml)
    done = bare_installation.call("land", "--source", file, file)
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert found in done.stderr
    assert not bare_installation.home.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "--day", "yesterday"],
        ["run", "--from", "2026-01-05"],
        ["score", "--day", "yesterday"],
        ["train", "--through", "yesterday"],
        ["clusters", "--through", "yesterday"],
        ["evaluate", "--as-of", "yesterday"],
        ["query", "SELECT 1", "--as-of", "yesterday"],
        ["report", "--day", "yesterday"],
        ["export", "profiles", "--to", "profiles.csv", "--as-of", "yesterday"],
        ["fingerprint", "events", "--as-of", "yesterday"],
    ],
)
def test_no_day(bare_installation: Any, arguments: list[str]) -> None:
    done = bare_installation.call(*arguments)
    assert done.returncode == 2
    assert "xpected" in only_line(done.stderr)
    assert not bare_installation.home.exists()


def test_doctor_starts_nothing(bare_installation: Any) -> None:
    printed = bare_installation.do("doctor")
    assert "not made yet: the first command makes it" in printed
    assert "local PostgreSQL, down" in printed
    assert not bare_installation.home.exists()
