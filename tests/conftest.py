"""What all tests share: a time zone, no sockets beyond loopback, one Spark session, golden files, real logs."""

import csv
import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

os.environ["TZ"] = "Asia/Tokyo"  # before the JVM starts: no result may depend on the zone of the machine
time.tzset()
# Before torch and NumPy start: beside another worker, threads that wait for each other take most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
ICEBERG = sorted((ROOT / ".throughline" / "jars" / "jars").glob("org.apache.iceberg_iceberg-spark-runtime-*.jar"))
LOOPBACK = "127.0.0.1,::1,localhost"
Row = Mapping[str, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what was found into the golden files")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.option.allow_hosts = LOOPBACK  # pytest-socket refuses all others
    config.option.allow_unix_socket = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the nights of a terminal, on the other core than Airflow, which compares its nights with them."""
    items.sort(key=lambda item: item.path.name != "test_nights.py")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    """Return the one session of the run: two cores, no catalog, loopback only; Iceberg if it has been fetched."""
    from pyspark.sql import SparkSession

    from pipeline.local.java import prepare_java
    from pipeline.settings import Settings
    from tests.bench.tiny_homes import QUICK_JAVA

    _ask_for_names_once()
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    folder = tmp_path_factory.mktemp("spark")
    os.environ["JAVA_HOME"] = str(prepare_java(Settings(home=folder)).home)
    os.environ["SPARK_CONF_DIR"] = str(folder)  # an empty one: no catalog, no jars
    options = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraClassPath": ":".join(map(str, ICEBERG)),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": QUICK_JAVA,
        "spark.local.dir": str(folder / "local"),
        "spark.python.sql.dataFrameDebugging.enabled": "false",  # else each function tells Java who calls it
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",  # on small frames compiling costs more than running
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    logging.getLogger("py4j").setLevel(logging.WARNING)  # importing Airflow turns on its log lines
    yield session
    session.stop()


def _ask_for_names_once() -> None:
    """Let Python ask Java once for a class or a static method, not at each call: a tenth of the time of these tests."""
    from py4j.java_gateway import JavaClass, JVMView

    for kind in (JVMView, JavaClass):
        kind.__getattr__ = cache(kind.__getattr__)


@pytest.fixture
def compiled(spark: "SparkSession") -> Iterator[None]:
    """Let Spark compile its plans in this test, as it does in production.

    With the excluded rule, the optimizer would interpret the plan of a frame that is made of rows.
    """
    rule = "org.apache.spark.sql.catalyst.optimizer.ConvertToLocalRelation"
    for name, value in (("wholeStage", "true"), ("factoryMode", "FALLBACK")):
        spark.conf.set(f"spark.sql.codegen.{name}", value)
    spark.conf.set("spark.sql.optimizer.excludedRules", rule)
    yield
    spark.conf.unset("spark.sql.optimizer.excludedRules")
    for name, value in (("wholeStage", "false"), ("factoryMode", "NO_CODEGEN")):
        spark.conf.set(f"spark.sql.codegen.{name}", value)


@pytest.fixture(scope="session")
def frame_of(spark: "SparkSession") -> Callable[[Iterable[Row], str], "DataFrame"]:
    """Return the function that makes a frame of rows and a Spark DDL.

    A text is read as its column's type: times are UTC, arrays are words. A missing key is null, or an empty array.
    """
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    def make(rows: Iterable[Row], ddl: str) -> "DataFrame":
        fields = StructType.fromDDL(ddl)
        schema = to_arrow_schema(fields)
        read = [{field.name: _read(row.get(field.name), field.dataType.simpleString()) for field in fields}
                for row in rows]  # fmt: skip
        return spark.createDataFrame(pa.Table.from_pylist(read, schema=schema), schema=fields)

    return make


def _read(value: object, kind: str) -> object:
    if kind == "array<string>":
        return value.split() if isinstance(value, str) else value or []
    if not isinstance(value, str):
        return value
    if kind == "boolean":
        return {"true": True, "false": False}[value]
    if kind == "timestamp":
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    if kind == "date":
        return date.fromisoformat(value)
    if kind in ("int", "bigint"):
        return int(value)
    return float(value) if kind == "double" else value


@pytest.fixture(scope="session")
def read_csv() -> Callable[[Path], list[dict[str, str | None]]]:
    """Return the function that reads a case's CSV: an empty field is null; a file that is not there has no rows."""

    def read(file: Path) -> list[dict[str, str | None]]:
        if not file.is_file():
            return []
        with file.open(encoding="utf-8", newline="") as lines:
            return [{name: text or None for name, text in row.items()} for row in csv.DictReader(lines, strict=True)]

    return read


@pytest.fixture
def golden_text(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Return the function that compares a text with a golden file: missing fails, `--update-golden` writes it."""

    def compare(file: Path, found: str) -> None:
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(found, encoding="utf-8")
        elif not file.is_file():
            pytest.fail(f"{file} is missing: write it by hand, or check what --update-golden writes")
        assert found.splitlines() == file.read_text(encoding="utf-8").splitlines()

    return compare


@pytest.fixture
def golden(golden_text: Callable[[Path, str], None]) -> Callable[[Path, list[Row]], None]:
    """Return the function that compares rows with a golden CSV, whose header names the columns that it is about.

    A missing file fails; `--update-golden` writes it.
    """

    def compare(file: Path, rows: list[Row]) -> None:
        has_header = file.is_file()
        header = file.read_text(encoding="utf-8").splitlines()[0].split(",") if has_header else list(rows[0])
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_as_text(row[name]) for name in header] for row in rows)
        golden_text(file, out.getvalue())

    return compare


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat()  # Spark hands out the machine's clock time
    return " ".join(_as_text(one) for one in value) if isinstance(value, list) else str(value)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real logs, which no repository may carry."""
    folder = Path(os.environ.get("THROUGHLINE_REAL_DATA") or ROOT / ".." / "shared" / "data").resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set THROUGHLINE_REAL_DATA to its folder")
    return folder
