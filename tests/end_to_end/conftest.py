"""Real installations, each in its own folder: PostgreSQL, Spark and Iceberg, used by the commands that people type."""

import fcntl
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pipeline.analyst.fingerprint import fingerprint
from pipeline.analyst.query import query
from pipeline.analyst.release import newest_release, read_table
from pipeline.analyst.render import render
from pipeline.demo.plan import DemoPlan, DemoSummary
from pipeline.demo.write import write_demo_log
from pipeline.local import postgres
from pipeline.local.engine import stop_engine
from pipeline.local.spark_config import conf_folder
from pipeline.settings import Settings
from tests.bench.tiny_homes import SPARK_OPTIONS, environment_of, link_jars, set_key
from tests.commands import TIMEOUT_SECONDS, run_commands
from tests.remote_stack import free_port

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
THROUGHLINE = Path(sys.executable).parent / "throughline"
PLAN = DemoPlan(users=700, days=16)
DATA_TABLES = ("events", "rejects", "items", "sessions", "sequences")
SQLITE_DRIVER = "org.xerial:sqlite-jdbc:3.50.3.0"


@dataclass(frozen=True)
class Installation:
    """A home, and the environment of the commands that work on it.

    is_program: each command is a start of the program `throughline`; else see `run_commands`.
    """

    home: Path
    environment: dict[str, str]
    is_program: bool = False

    def call(self, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; any exit code is accepted."""
        environment = {**self.environment, **variables}
        if not self.is_program:
            return run_commands([arguments], environment)
        return subprocess.run(
            [str(THROUGHLINE), *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def do(self, *arguments: str | Path) -> str:
        """Run a command that must succeed; return what it printed."""
        done = self.call(*arguments)
        assert done.returncode == 0, f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def do_all(self, commands: Sequence[Sequence[str | Path]]) -> None:
        """Run commands that must succeed, one after the other in one process."""
        done = run_commands(commands, self.environment)
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"

    def settings(self) -> Settings:
        """Return the settings of its commands."""
        ports = {
            f"{name}_port": int(self.environment[f"THROUGHLINE_{name.upper()}_PORT"])
            for name in ("postgres", "airflow")
        }
        return Settings(home=self.home, engine_home=self.environment.get("THROUGHLINE_ENGINE_HOME"), **ports)

    def catalog(self) -> "Catalog":
        """Open the catalog in this process, which saves the start of another."""
        from pyiceberg.catalog import load_catalog

        config = yaml.safe_load((conf_folder(self.settings()) / ".pyiceberg.yaml").read_text())
        [(name, properties)] = config["catalog"].items()
        return load_catalog(name, **properties)

    def ask(self, sql: str, as_of: date | None = None) -> list[dict[str, Any]]:
        """Return the rows of a query, as `throughline query --format json` prints them."""
        answer: list[dict[str, Any]] = json.loads(str(render(query(sql, self.catalog(), as_of), "json")))
        return answer

    def fingerprints(self) -> dict[str, str]:
        """Return the content hash of each data table of the newest release."""
        catalog = self.catalog()
        release = newest_release(catalog, None)
        return {name: fingerprint(read_table(catalog, release, name), name) for name in DATA_TABLES}


def new_installation(home: Path) -> Installation:
    variables = {
        "THROUGHLINE_AIRFLOW_PORT": str(free_port()),
        "THROUGHLINE_MIN_FREE_GIB": "1",
        "THROUGHLINE_SPARK_OPTIONS": json.dumps(SPARK_OPTIONS),
        "TZ": "Asia/Tokyo",
        "COLUMNS": "160",
    }
    return Installation(home, environment_of(home, **variables))


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let one process at a time run the block."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def engine_home() -> Iterator[Path]:
    """The home of the warm engine that the homes of one worker share: an engine of each would start cold."""
    with TemporaryDirectory(prefix="throughline-engine-", ignore_cleanup_errors=True) as folder:
        made = new_installation(Path(folder))
        yield made.home
        stop_engine(made.settings())


@contextmanager
def new_home(
    variables: Callable[[Path], dict[str, str]] = lambda _: {}, name: str = "throughline"
) -> Iterator[Installation]:
    """Make a home for many tests. It shares the jars of the checkout's own home, so they are fetched once.

    variables: returns more variables of its environment, given the folder that holds the home. name: of its folder.

    The folder is not one of pytest's: another run of pytest would close those to the account of PostgreSQL.
    """
    with TemporaryDirectory(prefix="throughline-tests-", ignore_cleanup_errors=True) as folder:
        made = new_installation(Path(folder) / name)
        made.environment.update(variables(Path(folder)))
        set_key(made.home)
        with set_up(made):
            yield made


def sharing(engine_home: Path) -> Callable[[Path], dict[str, str]]:
    """Return the function that gives the variables of a home that uses the engine of another."""
    return lambda _: {"THROUGHLINE_ENGINE_HOME": str(engine_home)}


@contextmanager
def set_up(made: Installation) -> Iterator[None]:
    """Set up an installation with the jars of the checkout for the block; stop its servers after it."""
    with locked(link_jars(made.home) / ".lock"):  # the first of two workers fetches them
        made.do("setup")
    try:
        yield
    finally:
        made.call("down")


@pytest.fixture(scope="session")
def unpacked_home(engine_home: Path) -> Callable[[Path, Path], AbstractContextManager[Installation]]:
    """Return the function that sets up an installation on a packed home, for one process at a time."""

    @contextmanager
    def unpack(home: Path, packed: Path) -> Iterator[Installation]:
        with locked(home.with_name(f"{home.name}.lock")):
            shutil.rmtree(home, ignore_errors=True)
            try:
                with tarfile.open(packed) as tar:
                    tar.extractall(home, filter="data")
                made = new_installation(home)
                made.environment.update(sharing(engine_home)(home))
                with set_up(made):
                    yield made
            finally:
                shutil.rmtree(home, ignore_errors=True)

    return unpack


@pytest.fixture(scope="session")
def installation(engine_home: Path) -> Iterator[Installation]:
    """An empty home for the terminal."""
    with new_home(sharing(engine_home)) as made:
        yield made


@pytest.fixture(scope="session")
def another_installation() -> Iterator[Installation]:
    """An empty home for Airflow, with an engine of its own."""
    with new_home() as made:
        yield made


@pytest.fixture(scope="module")
def installation_with_engine() -> Iterator[Installation]:
    """An empty home with an engine of its own."""
    with new_home() as made:
        yield made


@pytest.fixture(scope="module")
def own_installation(engine_home: Path) -> Iterator[Installation]:
    """An empty home for the tests of one file."""
    with new_home(sharing(engine_home)) as made:
        yield made


@pytest.fixture(scope="module")
def another_module_installation(engine_home: Path) -> Iterator[Installation]:
    """A second empty home for the tests of one file."""
    with new_home(sharing(engine_home)) as made:
        yield made


@pytest.fixture(scope="module")
def oddly_named_installation(engine_home: Path) -> Iterator[Installation]:
    """An empty home whose path has blanks, an apostrophe, a percent sign and a letter that is not ASCII."""
    with new_home(sharing(engine_home), "the shop's 100% höme") as made:
        yield made


@pytest.fixture(scope="module")
def remote_installation() -> Iterator[Installation]:
    """A home with a JDBC catalog in SQLite, and the lease in the PostgreSQL of another home."""
    with TemporaryDirectory(prefix="throughline-tests-", ignore_cleanup_errors=True) as folder:
        other = Settings(home=Path(folder) / "other", postgres_port=free_port())
        postgres.start(other)

        def variables(home_folder: Path) -> dict[str, str]:
            catalog = {
                "type": "jdbc",
                "uri": f"jdbc:sqlite:{home_folder}/catalog.db",
                "jdbc.schema-version": "V1",
                "clients": "1",  # SQLite takes one writer at a time
                "warehouse": f"file://{home_folder}/warehouse",
            }
            return {
                "THROUGHLINE_CATALOG": json.dumps(catalog),
                "THROUGHLINE_LEASE_URL": postgres.url(other),
                "THROUGHLINE_SPARK_OPTIONS": json.dumps({**SPARK_OPTIONS, "spark.jars.packages": SQLITE_DRIVER}),
            }

        with new_home(variables) as made:
            yield made
        postgres.stop(other)


@dataclass(frozen=True)
class Shop:
    """The log of the made-up shop without the file of one day, which is lost."""

    folder: Path
    made: DemoSummary
    lost_lines: list[str]
    lines: int
    first: date = PLAN.first_day
    last: date = PLAN.last_day
    empty_day: date = PLAN.last_day - timedelta(days=1)

    def truth(self) -> dict[str, list[str]]:
        """Return the true interests of people by the source's own id, strongest first."""
        actors = [json.loads(line) for line in (self.folder / "truth.jsonl").read_text().splitlines()]
        return {one["user"]: [each["tag"] for each in one["interests"]] for one in actors if not one["is_bot"]}


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    made = write_demo_log(folder, PLAN)
    lost = next(folder.glob(f"events-{Shop.empty_day}*"))
    content = lost.read_bytes()
    lost_lines = (gzip.decompress(content) if lost.suffix == ".gz" else content).decode().splitlines()
    lost.unlink()
    return Shop(folder, made, lost_lines, made.lines - len(lost_lines))


@dataclass(frozen=True)
class Published:
    """What an installation has published: fingerprints of its tables, and the affinities of the shop's last day."""

    fingerprints: dict[str, str]
    affinities: dict[str, float]  # by user and tag


@pytest.fixture(scope="session")
def published_of(shop: Shop) -> Callable[[Installation], Published]:
    """Return the function that reads what an installation has published."""

    def read(installation: Installation) -> Published:
        rows = installation.ask(f"""
            SELECT user_id, unnest(interests, recursive := true) FROM (
                SELECT user_id, interests FROM profiles WHERE as_of = DATE '{shop.last}')
        """)
        return Published(
            installation.fingerprints(), {f"{row['user_id']} {row['tag']}": row["affinity"] for row in rows}
        )

    return read


@pytest.fixture(scope="session")
def published_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file in which the worker that made `nights` writes what they published, for the other worker."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "published.json"


@pytest.fixture(scope="session")
def nights(
    installation: Installation,
    shop: Shop,
    published_file: Path,
    published_of: Callable[[Installation], Published],
) -> Installation:
    """The log landed and run in a terminal: its history as one range, its last day as a night."""
    with locked(published_file.with_suffix(".lock")):
        landed = installation.do("land", "--source", "demo", shop.folder)
        assert f"landed {shop.lines:,} lines of {PLAN.days - 1} files" in landed
        printed = installation.do("run", "--from", str(shop.first), "--to", str(shop.empty_day))
        assert f"warning: nothing landed on {shop.empty_day}; it counts as empty" in printed
        installation.do("run", "--day", str(shop.last))
        published_file.write_text(json.dumps(asdict(published_of(installation))))
    return installation


@pytest.fixture(scope="session")
def published(request: pytest.FixtureRequest, published_file: Path) -> Published:
    """What `nights` have published, in this worker or in the other one, which is waited for."""
    with locked(published_file.with_suffix(".lock")):
        is_written = published_file.is_file()
    if not is_written:
        request.getfixturevalue("nights")
    return Published(**json.loads(published_file.read_text()))


@pytest.fixture
def bare_installation(tmp_path: Path) -> Iterator[Installation]:
    """A home in which nothing has been started."""
    made = replace(new_installation(tmp_path / "throughline"), is_program=True)
    yield made
    if made.home.is_dir():
        made.call("down")


@pytest.fixture
def good_line() -> Callable[[date, int], str]:
    """Return the function that makes a line of the shop's log that is accepted."""

    def make(day: date, number: int) -> str:
        at = f"{day}T10:00:{number:02d}.000Z"
        event = {"id": f"late-{number}", "user": "u-1", "type": "page_view", "item": "i-0001"}
        return json.dumps({**event, "created": at, "sent": at, "received": at}) + "\n"

    return make
