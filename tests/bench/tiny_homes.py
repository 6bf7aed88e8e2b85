"""Homes for tiny logs: small frames, so that a night takes seconds. They share the jars of the checkout."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.settings import ROOT
from tests.bench.chaos.home import ChaosHome
from tests.remote_stack import free_port

KEY = "the key of all test homes, so that their tables can be compared"
# Java that compiles quickly costs a third less processor time on small frames, also in an engine of many minutes. It
# needs room for its code: in the usual 48 MB Java 17 discards code and compiles it again. Checking the byte code of
# Spark's classes takes a sixth of the start and of the first nights.
QUICK_JAVA = (
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote "
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=384m -XX:-UseCodeCacheFlushing "
    "-XX:MetaspaceSize=256m -Xmn300m"
)
# On small frames compiling and replanning plans costs more than running.
SPARK_OPTIONS = {
    "spark.driver.extraJavaOptions": QUICK_JAVA,
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
}


def environment_of(home: Path, **variables: str) -> dict[str, str]:
    """Return the environment of the commands of a home, with a port of its own for PostgreSQL."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")},
        "THROUGHLINE_HOME": str(home),
        "THROUGHLINE_POSTGRES_PORT": str(free_port()),
        "THROUGHLINE_MIN_FREE_GIB": "0",
        "THROUGHLINE_SPARK_OPTIONS": json.dumps(SPARK_OPTIONS),
        **variables,
    }


def set_key(home: Path) -> None:
    """Give a home the key of all homes of tests, so that their tables can be compared."""
    key = home / "pseudonym.key"
    home.mkdir(parents=True, exist_ok=True)
    key.touch(mode=0o600)
    key.write_text(KEY)


def link_jars(home: Path) -> Path:
    """Let a home share the jars of the checkout, so that they are fetched once; return their folder."""
    jars = ROOT / ".throughline" / "jars"
    jars.mkdir(parents=True, exist_ok=True)
    (home / "jars").symlink_to(jars.resolve())
    return jars


@contextmanager
def tiny_home(home: Path, engine_home: Path | None = None, **variables: str) -> Iterator[ChaosHome]:
    """Set up a home; stop its servers afterwards. engine_home: whose engine it uses; none: its own."""
    set_key(home)
    link_jars(home)
    shared = {"THROUGHLINE_ENGINE_HOME": str(engine_home)} if engine_home else {}
    made = ChaosHome(home, environment_of(home, PYTHONPATH=str(ROOT), **shared, **variables))
    try:
        made.do("setup")
        yield made
    finally:
        made.start("down").end()
