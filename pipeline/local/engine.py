"""The warm engine: one Spark Connect server per home, which all steps on this machine share.

Homes may share one, too: the setting `engine_home` names the home that has it. Whoever needs it first starts it. It
listens on loopback and asks for a token. The file `<home>/engine/engine.json` (mode 600) says where it is. A second
process, the watcher, stops it when no client has been connected for a while, or when its home is gone.
"""

import fcntl
import hashlib
import json
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from pipeline.errors import ThroughlineError
from pipeline.files import write_private
from pipeline.local.processes import Background, is_alive, record_of, stop
from pipeline.local.scratch import engine_scratch, spark_variables
from pipeline.local.spark_config import PACKAGES, catalog_options, needed_jars, spark_defaults
from pipeline.settings import ROOT, Settings

HOST = "127.0.0.1"
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
USER = "throughline"
# It lives long, so it compiles fully, which steps of a process each do not. By the quick compiler alone, 28 days of the
# demo took a quarter more processor time, and a night as much.
JAVA_OPTIONS = "-XX:ReservedCodeCacheSize=384m -XX:+UseParallelGC"
TOKEN_VARIABLE = "SPARK_CONNECT_AUTHENTICATE_TOKEN"
START_SECONDS = 600.0  # the first start fetches the jars
IDLE_SECONDS = 1200.0
POLL_SECONDS = 5.0
JAR_KEYS = {PACKAGES, "spark.jars", "spark.jars.ivy", "spark.driver.extraClassPath"}

OPTIONS = {
    "spark.connect.grpc.binding.address": HOST,
    # A client that dies takes its work with it: Spark interrupts what no client listens to.
    "spark.connect.execute.manager.detachedTimeout": "15s",
    "spark.connect.execute.manager.maintenanceInterval": "5s",
    "spark.connect.session.manager.defaultSessionTimeout": "10m",
    # Each session has a catalog with a connection to PostgreSQL, which only the garbage collector closes.
    "spark.cleaner.periodicGC.interval": "2min",
    "spark.sql.codegen.cache.maxEntries": "5000",
}


@dataclass(frozen=True)
class Engine:
    """A running engine. fingerprint: of the configuration that it was started with."""

    port: int
    token: str
    fingerprint: str

    def url(self, session_id: str) -> str:
        """Return the address of a session. It holds the token, so it must not be printed."""
        return f"sc://localhost:{self.port}/;token={self.token};user_id={USER};session_id={session_id}"


def start_engine(settings: Settings, environment: Mapping[str, str]) -> Engine:
    """Return the engine of a home; start it if it is down, or if it has another configuration.

    environment: that of a step; see `pipeline.runner.commands.step_environment`.
    Raises ThroughlineError if it does not start, or if a client works on an engine with another configuration.
    """
    with _locked(settings):
        wanted = _fingerprint(settings, environment)
        engine = find_engine(settings)
        if engine and engine.fingerprint != wanted and (clients := _clients(settings)):
            raise ThroughlineError(
                f"the Spark engine of {settings.home_of_engine} runs with other settings, and {clients} clients work "
                f"on it: wait until they have ended, or stop the engine with `throughline down`"
            )
        if not engine or engine.fingerprint != wanted:
            _stop(settings)
            engine = _start_server(settings, environment, wanted)
        _wait_until_up(settings, engine)
        if not _watcher(settings).find():
            command = [sys.executable, "-m", "pipeline.local.engine"]
            home = {"THROUGHLINE_HOME": str(settings.home_of_engine)}
            _watcher(settings).start(command, {**environment, **home, "PYTHONPATH": str(ROOT)})
        return engine


def find_engine(settings: Settings) -> Engine | None:
    """Return the running engine that a home uses, if any."""
    if not _server(settings).find() or not _record(settings).is_file():
        return None
    return Engine(**json.loads(_record(settings).read_text()))


def has_ended(settings: Settings, engine: Engine, seconds: float) -> bool:
    """Return whether an engine has ended, or does so within so many seconds."""
    until = time.monotonic() + seconds
    while find_engine(settings) == engine:
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)
    return True


def stop_engine(settings: Settings) -> bool:
    """Stop the engine of this home and its watcher; return whether it was running. That of another home goes on."""
    return settings.home_of_engine == settings.home.resolve() and _stop(settings)


def stop_if_unused(settings: Settings) -> bool:
    """Stop the engine of this home if no client works on it; return whether it was stopped.

    Its scratch files, which hold rows, go with it.
    """
    with _locked(settings):
        return not _clients(settings) and stop_engine(settings)


def log_file(settings: Settings) -> Path:
    """Return the log of the engine that a home uses."""
    return settings.home_of_engine / "logs" / "engine.log"


def _stop(settings: Settings) -> bool:
    names = stop(_backgrounds(settings))
    shutil.rmtree(_folder(settings), ignore_errors=True)
    return "engine" in names


def register_session(settings: Settings, session_id: str) -> None:
    """Record which process opened a session, so that `dead_sessions` can tell that it has ended."""
    write_private(_sessions(settings) / session_id, record_of(psutil.Process()))


def forget_session(settings: Settings, session_id: str) -> None:
    (_sessions(settings) / session_id).unlink(missing_ok=True)


def dead_sessions(settings: Settings) -> list[str]:
    """Return the sessions whose process has ended without closing them: their work may still go on."""
    files = [file for file in sorted(_sessions(settings).glob("*")) if not file.name.startswith(".")]
    return [file.name for file in files if not Background(file.name, file, file).find()]


def _start_server(settings: Settings, environment: Mapping[str, str], fingerprint: str) -> Engine:
    engine = Engine(_free_port(), secrets.token_urlsafe(24), fingerprint)
    scratch = engine_scratch(settings)
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {**OPTIONS, "spark.connect.grpc.binding.port": str(engine.port)}
    if "spark.driver.extraJavaOptions" not in settings.spark_options:
        options["spark.driver.extraJavaOptions"] = JAVA_OPTIONS
    command = [
        str(Path(sys.executable).parent / "spark-submit"),
        *("--class", SERVER, "--name", "engine"),
        *(part for name, value in options.items() for part in ("--conf", f"{name}={value}")),
        "spark-internal",
    ]
    server = _server(settings)
    server.log.unlink(missing_ok=True)
    # The token travels by the environment, which only the owner of the process can read.
    server.start(command, {**environment, **spark_variables(scratch), TOKEN_VARIABLE: engine.token})
    write_private(_record(settings), json.dumps(asdict(engine)))
    return engine


def _wait_until_up(settings: Settings, engine: Engine) -> None:
    server, until = _server(settings), time.monotonic() + START_SECONDS
    while not _answers(engine.port):
        if not server.find() or time.monotonic() >= until:
            last = server.last_lines()
            _stop(settings)
            raise ThroughlineError(f"the Spark engine did not start: {last}; its log: {server.log}")
        time.sleep(0.1)


def watch(settings: Settings, idle_seconds: float = IDLE_SECONDS) -> None:
    """Stop the engine when it is idle or its home is gone; return when it has ended."""
    idle_since, process = time.monotonic(), None
    while (found := _server(settings).find()) and _record(settings).is_file():
        process = found
        if _clients(settings):
            idle_since = time.monotonic()
        if time.monotonic() - idle_since >= idle_seconds:
            break
        with suppress(psutil.TimeoutExpired):
            process.wait(POLL_SECONDS)
    if process and is_alive(process):  # without a home there is no record of it either
        process.terminate()
    elif (scratch := engine_scratch(settings)).is_dir():  # the engine was killed
        with _locked(settings):
            if not _server(settings).find():
                shutil.rmtree(scratch, ignore_errors=True)


def _clients(settings: Settings) -> int:
    """Return the number of connections to the engine."""
    process, engine = _server(settings).find(), find_engine(settings)
    if not process or not engine:
        return 0
    with suppress(psutil.Error):
        connections = process.net_connections(kind="tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == engine.port for one in connections)
    return 0


def _fingerprint(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return a hash of everything that the engine was started with and that its sessions cannot change."""
    from importlib.metadata import version

    # Where the jars lie changes when they have been fetched, but not what they are.
    defaults = {key: value for key, value in spark_defaults(settings).items() if key not in JAR_KEYS}
    # Each session sets the options of its catalog: the names must be the same, or another home's option would stay.
    configuration = {**defaults, **dict.fromkeys(catalog_options(settings), "")}
    jars = [*needed_jars(settings), settings.spark_options.get(PACKAGES, "")]
    parts = [configuration, OPTIONS, jars, version("pyspark"), environment.get("JAVA_HOME", "")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _folder(settings: Settings) -> Path:
    return settings.home_of_engine / "engine"


def _record(settings: Settings) -> Path:
    return _folder(settings) / "engine.json"


def _sessions(settings: Settings) -> Path:
    return _folder(settings) / "sessions"


def _server(settings: Settings) -> Background:
    return Background("engine", _folder(settings) / "server.json", log_file(settings))


def _watcher(settings: Settings) -> Background:
    return Background("watcher", _folder(settings) / "watcher.json", log_file(settings).with_name("engine-watcher.log"))


def _backgrounds(settings: Settings) -> list[Background]:
    return [_watcher(settings), _server(settings)]


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Let one process at a time start or stop the engine."""
    settings.home_of_engine.mkdir(parents=True, exist_ok=True)
    with (settings.home_of_engine / ".engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    from pipeline.settings import load_settings

    watch(load_settings())
