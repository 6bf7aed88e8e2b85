"""The configuration of Spark and PyIceberg: catalog, jars and memory.

`<home>/conf` is both SPARK_CONF_DIR and PYICEBERG_HOME. The files hold the password of a JDBC catalog, so they are mode
600. Other secrets are never written: Spark and PyIceberg read them from variables.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from pipeline.errors import UsageError
from pipeline.files import write_private, write_whole
from pipeline.local import postgres
from pipeline.local.catalog import READER, WRITER
from pipeline.local.catalog import login as login_of
from pipeline.local.postgres import ONLY_SCRAM
from pipeline.settings import CATALOG_SECRETS, FROM_VARIABLE, Settings
from throughline.stores import s3_endpoint, s3_region

CATALOG = "throughline"  # one name for Spark and PyIceberg: a JDBC catalog stores it in its rows
JARS = ("org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0", "org.postgresql:postgresql:42.7.7")
JARS_FOR_S3 = ("org.apache.iceberg:iceberg-aws-bundle:1.11.0",)
# Hadoop's file system of S3 reads landed files and lists orphan files. Iceberg's bundle has what these jars depend on,
# in the same version. So they are fetched alone; Spark's resolver would add 600 MB.
JARS_FOR_FILES_IN_S3 = ("org.apache.hadoop:hadoop-aws:3.4.2", "software.amazon.awssdk:s3-transfer-manager:2.44.4")
S3_RETRIES = "s3.retry.num-retries"  # with growing random waits; the five of Iceberg can be over in ten seconds
S3_FILES = "org.apache.iceberg.aws.s3.S3FileIO"
PACKAGES = "spark.jars.packages"

# The quick compiler alone halves the processor time of a step on a log of a laptop's size, since its JVM starts fresh.
# A long local run overrides it by the setting `spark_options`.
QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"

LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
# Warnings at start-up that a user cannot act on.
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.utils.name = org.apache.spark.util.Utils
logger.utils.level = error
logger.fields.name = org.apache.spark.sql.catalyst.util.SparkStringUtils
logger.fields.level = error
logger.window.name = org.apache.spark.sql.execution.window.WindowExec
logger.window.level = error
# It looks for a catalog named `interest` before it finds that namespace in ours.
logger.names.name = org.apache.iceberg.spark.Spark3Util
logger.names.level = error
logger.metrics.name = org.apache.iceberg.hadoop
logger.metrics.level = error
# Errors of a query, which its client gets, and of a session that was closed meanwhile.
logger.connect.name = org.apache.spark.sql.connect.utils.ErrorUtils
logger.connect.level = off
"""


def conf_folder(settings: Settings) -> Path:
    return settings.home / "conf"


def write_configuration(settings: Settings) -> None:
    """Write .pyiceberg.yaml and, where Spark is installed, spark-defaults.conf and log4j2.properties."""
    folder = conf_folder(settings)
    if has_spark():
        lines = [f"{key} {value}" for key, value in spark_defaults(settings).items()]
        write_private(folder / "spark-defaults.conf", "\n".join(lines) + "\n")
        write_whole(folder / "log4j2.properties", LOG4J)
    # PyIceberg reads strict YAML: every value is unquoted text.
    properties = [f"    {key}: {value}" for key, value in pyiceberg_properties(settings).items()]
    write_private(folder / ".pyiceberg.yaml", "\n".join(["catalog:", f"  {CATALOG}:", *properties]) + "\n")


def spark_defaults(settings: Settings) -> dict[str, str]:
    """Return the Spark configuration of every job."""
    return {
        "spark.master": settings.spark_master,
        "spark.submit.deployMode": settings.spark_deploy_mode,
        "spark.driver.memory": settings.spark_driver_memory,
        **(_one_machine(settings) if is_one_machine(settings) else {}),
        # Hadoop sets the modes of files by a mask of its own, whatever that of the process.
        **({"spark.hadoop.fs.permissions.umask-mode": "077"} if settings.uses_local_catalog else {}),
        **(_files_in_s3() if settings.uses_s3 else {}),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.defaultCatalog": CATALOG,
        **catalog_options(settings),
        "spark.sql.session.timeZone": "UTC",
        # A cast that fails gives null, and its line becomes a reject; ANSI mode would end the job.
        "spark.sql.ansi.enabled": "false",
        "spark.sql.shuffle.partitions": str(settings.spark_shuffle_partitions),
        # Lists are collected from sorted rows; aggregation by hash would sort them once more.
        "spark.sql.execution.useObjectHashAggregateExec": "false",
        "spark.redaction.regex": "(?i)secret|password|token|access[.]?key|jdbc",
        **_jars(settings),
        **{key: value for key, value in settings.spark_options.items() if key != PACKAGES},
    }


def catalog_options(settings: Settings) -> dict[str, str]:
    """Return the Spark options of the catalog. A session of the warm engine sets them before it uses the catalog."""
    catalog = f"spark.sql.catalog.{CATALOG}"
    properties = {f"{catalog}.{key}": value for key, value in _catalog_properties(settings).items()}
    return {catalog: "org.apache.iceberg.spark.SparkCatalog", **properties}


def pyiceberg_properties(settings: Settings) -> dict[str, str]:
    """Return the properties of the same catalog under PyIceberg's names.

    Readers have a role of their own in the local PostgreSQL, which cannot write.
    Both sides name all kinds of catalog alike but one: Spark's `jdbc` is PyIceberg's `sql`, whose URI is SQLAlchemy's.
    Secrets are left out, see `pyiceberg_environment`, and so are options for the Java class that reads files.
    Raises UsageError for a JDBC driver other than those of PostgreSQL and SQLite.
    """
    left_out = {"io-impl", S3_RETRIES, *CATALOG_SECRETS}
    properties = {key: value for key, value in _catalog_properties(settings, READER).items() if key not in left_out}
    if properties.get("type") != "jdbc":
        return properties
    driver, _, place = properties.get("uri", "").removeprefix("jdbc:").partition(":")
    login = ":".join(quote(properties[key], safe="") for key in ("jdbc.user", "jdbc.password") if key in properties)
    if driver == "postgresql":
        asked = f"?{ONLY_SCRAM}" if settings.uses_local_catalog else ""
        uri = f"postgresql+psycopg://{f'{login}@' if login else ''}{place.removeprefix('//')}{asked}"
    elif driver == "sqlite":
        uri = f"sqlite:///{place}"
    else:
        raise UsageError(
            f"setting catalog: a catalog of type jdbc on {driver or 'no uri'!r}: "
            f"expected a uri that begins with jdbc:postgresql: or jdbc:sqlite:"
        )
    others = {key: value for key, value in properties.items() if not key.startswith("jdbc.")}
    return {**others, "type": "sql", "uri": uri}


def pyiceberg_environment(settings: Settings) -> dict[str, str]:
    """Return the variables from which PyIceberg reads its configuration: the folder of its file, and the secrets.

    Raises UsageError as `catalog_secrets` does.
    """
    prefix = f"PYICEBERG_CATALOG__{CATALOG}__"
    secrets = {f"{prefix}{key}".upper(): value for key, value in catalog_secrets(settings).items()}
    return {"PYICEBERG_HOME": str(conf_folder(settings)), **secrets}


def catalog_secrets(settings: Settings) -> dict[str, str]:
    """Return the secrets of the catalog, from the variables that the setting `catalog` names.

    Raises UsageError if one of them is not set.
    """
    names = {
        key: value.removeprefix(FROM_VARIABLE) for key, value in settings.catalog.items() if key in CATALOG_SECRETS
    }
    for key, name in names.items():
        if name not in os.environ:
            raise UsageError(
                f"setting catalog: {key} = {FROM_VARIABLE}{name}, but the variable {name} is not set: set it, "
                f"also where Airflow's tasks and Spark's driver run"
            )
    return {key: os.environ[name] for key, name in names.items()}


def _catalog_properties(settings: Settings, role: str = WRITER) -> dict[str, str]:
    """Return the catalog's properties under Spark's names, with the login of a role to the local one."""
    if not settings.uses_local_catalog:
        return {**(_s3_properties() if settings.uses_s3 else {}), **settings.catalog}
    user, password = login_of(settings, role)
    return {
        "type": "jdbc",
        "uri": f"jdbc:postgresql://{postgres.HOST}:{settings.postgres_port}/{postgres.CATALOG_DATABASE}",
        "jdbc.user": user,
        "jdbc.password": password,
        "jdbc.schema-version": "V1",
        "warehouse": f"file://{settings.home / 'warehouse'}",
    }


def _s3_properties() -> dict[str, str]:
    """Return how tables in S3 are read and written. Variables of Amazon's SDKs name the region, and another server."""
    endpoint, region = s3_endpoint(), s3_region()
    own_server = {"s3.endpoint": endpoint, "s3.path-style-access": "true"} if endpoint else {}
    own_region = {"s3.region": region, "client.region": region} if region else {}
    return {"io-impl": S3_FILES, S3_RETRIES: "10", **own_server, **own_region}


def _files_in_s3() -> dict[str, str]:
    """Return how Spark reads files in S3 that are no tables, with the server and region of the tables."""
    properties = _s3_properties()
    options = {"fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem"}
    if endpoint := properties.get("s3.endpoint"):
        options |= {"fs.s3a.endpoint": endpoint, "fs.s3a.path.style.access": "true"}
        options["fs.s3a.connection.ssl.enabled"] = str(endpoint.startswith("https://")).lower()
    if region := properties.get("s3.region"):
        options["fs.s3a.endpoint.region"] = region
    return {f"spark.hadoop.{name}": value for name, value in options.items()}


def is_one_machine(settings: Settings) -> bool:
    """Return whether Spark runs inside the process of each step."""
    return settings.spark_master.startswith("local")


def is_spark_elsewhere(settings: Settings) -> bool:
    """Return whether Spark may run on machines that do not see the disk of this one."""
    return settings.spark_engine.startswith("sc://") or not is_one_machine(settings)


def _one_machine(settings: Settings) -> dict[str, str]:
    """Return options that open no port beyond loopback and make a start quick."""
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": QUICK_JVM,
    }


def needed_jars(settings: Settings) -> tuple[str, ...]:
    """Return the Maven coordinates of the jars that these settings need."""
    files = JARS_FOR_FILES_IN_S3 if settings.uses_s3 else ()
    return (*JARS, *(JARS_FOR_S3 if settings.uses_s3 else ()), *files)


def fetched_jars(settings: Settings) -> list[Path]:
    """Return the files of `needed_jars` in Spark's own folder, else in the home; none if one is missing there.

    An image has them in Spark's own folder; see `pipeline.local.install_jars`.
    """
    for folder in (spark_folder(), settings.home / "jars" / "jars"):
        files = file_names(folder, needed_jars(settings))
        if all(file.is_file() for file in files):
            return files
    return []


def file_names(folder: Path, coordinates: Sequence[str]) -> list[Path]:
    """Return the files of jars in a folder, by their Maven coordinates group:name:version."""
    return [folder / f"{one.replace(':', '_', 1).replace(':', '-')}.jar" for one in coordinates]


def has_spark() -> bool:
    """Return whether Spark is installed. The image of the worker that scores and trains has neither Spark nor Java."""
    return find_spec("pyspark") is not None


def spark_folder() -> Path:
    """Return the folder of the jars that come with Spark. It does not import pyspark."""
    pyspark = find_spec("pyspark")
    assert pyspark and pyspark.origin, "pyspark is a dependency"
    return Path(pyspark.origin).parent / "jars"


def _jars(settings: Settings) -> dict[str, str]:
    """Return where Spark finds its jars.

    One machine reads fetched jars from their files. That saves a tenth of a small step, which resolving and copying
    them would take. Packages of the setting `spark_options` are added; they and their dependencies have to be resolved.
    """
    fetched, own = fetched_jars(settings), settings.spark_options.get(PACKAGES)
    if fetched and fetched[0].parent == spark_folder():
        return {PACKAGES: own, "spark.jars.ivy": str(settings.home / "jars")} if own else {}
    if fetched and not own and is_one_machine(settings):
        return {"spark.driver.extraClassPath": ":".join(str(jar.resolve()) for jar in fetched)}
    alone = file_names(settings.home / "jars" / "jars", JARS_FOR_FILES_IN_S3)
    resolved = [one for one in needed_jars(settings) if one not in JARS_FOR_FILES_IN_S3]
    files = {"spark.jars": ",".join(map(str, alone))} if settings.uses_s3 else {}
    packages = [*resolved, *([own] if own else [])]
    return {**files, PACKAGES: ",".join(packages), "spark.jars.ivy": str(settings.home / "jars")}
