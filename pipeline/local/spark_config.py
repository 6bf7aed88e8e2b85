"""Which JDK Spark will use.

An archive of the JVM's classes: what one Spark start has read and checked, later ones map into their memory.

Every step is a fresh JVM, which on a small log loads classes for a quarter of its processor time.
Source: JEP 350, dynamic class data sharing. A JVM that finds the archive of other jars or of another JDK does without.

Write the files by which Spark and PyIceberg find catalog, jars and memory.

`<home>/conf` is both SPARK_CONF_DIR and PYICEBERG_HOME. The files hold a password, so they are mode 600.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from pipeline.files import write_private, write_whole
from pipeline.local import postgres
from pipeline.settings import Settings


def java() -> Path | None:
    """Return the program that starts the JVM, as Spark looks for it; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    found = os.path.join(home, "bin", "java") if home else shutil.which("java")
    return Path(found) if found and os.path.isfile(found) else None


QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"  # of an archive that does not fit, an operator can do nothing


def class_archive(settings: Settings) -> Path:
    return settings.home / "jars" / "classes.jsa"


def is_archive_fresh(settings: Settings) -> bool:
    """Return whether there is an archive that is newer than the JDK and Spark's jars; an empty one says that this JDK
    keeps none, so that nobody waits for it again."""
    file, jvm = class_archive(settings), java()
    if not file.is_file() or jvm is None:
        return False
    return file.stat().st_mtime > max(made_of.stat().st_ctime for made_of in (jvm.resolve(), spark_jars()))


def archive_options(settings: Settings) -> str:
    """Return what tells a JVM to map the archive, if there is one."""
    file = class_archive(settings)
    is_there = file.is_file() and file.stat().st_size > 0
    return f" -XX:SharedArchiveFile={file.resolve()} {QUIET}" if is_there else ""


def recording_options(file: Path) -> str:
    """Return what tells a JVM to write an archive when it ends."""
    return f" -XX:ArchiveClassesAtExit={file} {QUIET}"


def class_path(jars: list[Path]) -> str:
    """Return a class path that begins with jars alone: past a folder, such as that of Spark's configuration, no archive
    holds any class."""
    return ":".join([*(str(jar.resolve()) for jar in jars), f"{spark_jars()}/*"])


def spark_jars() -> Path:
    """Return the folder of the jars that come with PySpark, without importing it."""
    found = find_spec("pyspark")
    assert found and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "jars"


CATALOG = "throughline"  # one name for Spark and PyIceberg: the JDBC catalog keeps it in its rows
JARS = ("org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0", "org.postgresql:postgresql:42.7.7")

# On one machine only the quick compiler of the JVM, which on logs of a laptop's size halves the processor time of a
# step (it starts fresh each time). Large local runs override it by `spark_options`.
QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"

LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
# Start-up chatter that a laptop user can do nothing about.
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.utils.name = org.apache.spark.util.Utils
logger.utils.level = error
logger.fields.name = org.apache.spark.sql.catalyst.util.SparkStringUtils
logger.fields.level = error
logger.window.name = org.apache.spark.sql.execution.window.WindowExec
logger.window.level = error
# It tries the namespace `interest` as a catalog before it finds it in ours.
logger.names.name = org.apache.iceberg.spark.Spark3Util
logger.names.level = error
logger.metrics.name = org.apache.iceberg.hadoop
logger.metrics.level = error
"""


def conf_folder(settings: Settings) -> Path:
    return settings.home / "conf"


def fetched_jars(settings: Settings) -> list[Path]:
    """Return the files of JARS; none where one of them has not been fetched yet, in this version."""
    folder = settings.home / "jars" / "jars"
    files = [folder / f"{coordinates.replace(':', '_', 1).replace(':', '-')}.jar" for coordinates in JARS]
    return files if all(file.is_file() for file in files) else []


def write_configuration(settings: Settings) -> None:
    """Write spark-defaults.conf, log4j2.properties and .pyiceberg.yaml from the settings."""
    folder = conf_folder(settings)
    lines = [f"{key} {value}" for key, value in spark_defaults(settings).items()]
    write_private(folder / "spark-defaults.conf", "\n".join(lines) + "\n")
    write_whole(folder / "log4j2.properties", LOG4J)
    # PyIceberg reads strict YAML: every value is text as it stands, unquoted.
    properties = [f"    {key}: {value}" for key, value in pyiceberg_properties(settings).items()]
    write_private(folder / ".pyiceberg.yaml", "\n".join(["catalog:", f"  {CATALOG}:", *properties]) + "\n")


def spark_defaults(settings: Settings) -> dict[str, str]:
    """Return the Spark configuration that every job runs under."""
    catalog = f"spark.sql.catalog.{CATALOG}"
    properties = settings.catalog if not settings.is_embedded else _embedded_spark_catalog(settings)
    return {
        "spark.master": settings.spark_master,
        "spark.submit.deployMode": settings.spark_deploy_mode,
        "spark.driver.memory": settings.spark_driver_memory,
        **(_one_machine(settings) if is_one_machine(settings) else {}),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **_jars(settings),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.defaultCatalog": CATALOG,
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        **{f"{catalog}.{key}": value for key, value in properties.items()},
        "spark.sql.session.timeZone": "UTC",
        # A cast that fails gives null, and the line that caused it goes to rejects; ANSI would end the job.
        "spark.sql.ansi.enabled": "false",
        "spark.sql.shuffle.partitions": str(settings.spark_shuffle_partitions),
        # Lists are collected from rows that are sorted already; by hash they would be sorted once more.
        "spark.sql.execution.useObjectHashAggregateExec": "false",
        "spark.redaction.regex": "(?i)secret|password|token|access[.]?key|jdbc",
        **settings.spark_options,
    }


def is_one_machine(settings: Settings) -> bool:
    """Return whether Spark runs inside the process of each step."""
    return settings.spark_master.startswith("local")


def _one_machine(settings: Settings) -> dict[str, str]:
    """Return what opens no port beyond loopback and starts quickly."""
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": QUICK_JVM + archive_options(settings),
    }


def _jars(settings: Settings) -> dict[str, str]:
    """Return where Spark finds the jars: on one machine, once they are there, a tenth of a small step goes by without
    resolving and copying them."""
    fetched = fetched_jars(settings)
    if fetched and is_one_machine(settings):
        return {"spark.driver.extraClassPath": class_path(fetched)}
    return {"spark.jars.packages": ",".join(JARS), "spark.jars.ivy": str(settings.home / "jars")}


def pyiceberg_properties(settings: Settings) -> dict[str, str]:
    """Return the same catalog as PyIceberg names it."""
    if not settings.is_embedded:
        return settings.catalog
    uri = postgres.url(settings).replace("postgresql://", "postgresql+psycopg://")
    return {"type": "sql", "uri": uri, "warehouse": _warehouse(settings)}


def _embedded_spark_catalog(settings: Settings) -> dict[str, str]:
    return {
        "type": "jdbc",
        "uri": f"jdbc:postgresql://{postgres.HOST}:{settings.postgres_port}/{postgres.CATALOG_DATABASE}",
        "jdbc.user": postgres.USER,
        "jdbc.password": postgres.password_file(settings).read_text().strip(),
        "jdbc.schema-version": "V1",
        "warehouse": _warehouse(settings),
    }


def _warehouse(settings: Settings) -> str:
    return f"file://{settings.home / 'warehouse'}"
