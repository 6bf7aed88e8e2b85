"""`throughline doctor --cluster`: try the catalog, S3, the lease and Spark, from the cheapest to the dearest.

Each fault becomes one line that names the setting or variable to correct.
"""

import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
from pydantic import SecretStr
from rich.console import Console

from pipeline.analyst.release import open_catalog
from pipeline.errors import ThroughlineError, UsageError
from pipeline.local.preflight import run_preflight
from pipeline.local.spark_config import catalog_secrets, is_one_machine, pyiceberg_properties
from pipeline.runner.commands import job_command, step_environment
from pipeline.runner.process import StepFailed, run_command
from pipeline.settings import Settings
from throughline.stores import s3_endpoint, s3_region

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

CONNECT_SECONDS = 5.0
PORT_OF_CONNECT = 15002
KINDS = ("rest", "jdbc", "glue", "hive")
S3_SCHEMES = ("s3", "s3a")


def check_cluster(settings: Settings, console: Console) -> bool:
    """Try each part and print a line about it; stop at the first that fails, since later ones need it.

    Spark makes a table of its own with a branch, writes, reads and drops it. Returns whether all passed.
    """
    parts: Mapping[str, Callable[[Settings], str]] = {
        "Spark's address": check_address,
        "S3": check_s3,
        "catalog": check_catalog,
        "lease": check_lease,
        "models": check_models,
    }
    try:
        name = "settings"
        run_preflight(settings)
        for name, check in parts.items():
            console.print(f"[green]✓[/] {name}: ", end="", markup=True)
            console.print(check(settings), markup=False, highlight=False, soft_wrap=True)
        name = "Spark"
        log = settings.home / "logs" / "doctor" / "probe.log"
        run_command(job_command("probe"), step_environment(settings), log, console)
    except (ThroughlineError, StepFailed) as problem:
        console.print()
        console.print(f"✗ {name}: {one_line(problem)}", style="red", markup=False, highlight=False, soft_wrap=True)
        return False
    return True


def check_address(settings: Settings) -> str:
    """Return where Spark runs. Raises UsageError if nothing listens there."""
    for name in settings.spark_options:
        if not name.startswith("spark."):
            raise UsageError(f"setting spark_options: {name!r} is no option of Spark: their names begin with spark.")
    if settings.spark_engine.startswith("sc://"):
        place = urlsplit(settings.spark_engine)
        _require_listener(place.hostname, place.port or PORT_OF_CONNECT, "spark_engine")
        return f"the Spark Connect server {place.hostname}:{place.port or PORT_OF_CONNECT}"
    if settings.spark_master.startswith("spark://"):
        for one in settings.spark_master.removeprefix("spark://").split(","):
            host, _, port = one.partition(":")
            _require_listener(host, _port(port or "7077", settings.spark_master), "spark_master")
    return settings.spark_master + (", in the process of each step" if is_one_machine(settings) else "")


def check_s3(settings: Settings) -> str:
    """Return the buckets that settings name, after listing each.

    Raises UsageError if the server does not answer, refuses the keys, or has no such bucket.
    """
    buckets = _buckets(settings)
    if not buckets:
        return "not used"
    from pyarrow.fs import FileSelector

    endpoint = settings.catalog.get("s3.endpoint") or s3_endpoint() or ""
    region = settings.catalog.get("s3.region") or s3_region()
    if not region:
        raise UsageError("variable AWS_REGION is not set: set the region of the bucket, such as us-east-1")
    if endpoint:
        _require_server(endpoint, "AWS_ENDPOINT_URL", f"variable AWS_ENDPOINT_URL = {endpoint!r}")
        if not os.environ.get("AWS_ACCESS_KEY_ID") or not os.environ.get("AWS_SECRET_ACCESS_KEY"):
            raise UsageError(
                f"variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: {endpoint} needs them"
            )
    listed = []
    for bucket, names in buckets.items():
        try:
            found = _s3(endpoint, region).get_file_info(FileSelector(bucket, recursive=False))
        except OSError as error:
            if "NO_SUCH_BUCKET" in str(error):
                raise UsageError(f"setting {names[0]}: no bucket {bucket!r}: make it, or correct its name") from None
            raise UsageError(
                f"S3 refuses to list {bucket}: {_short(error)}: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
                f"the rights of that key"
            ) from None
        listed.append(f"{bucket} at {endpoint or 'Amazon'}, {len(found)} entries ({', '.join(names)})")
    return "; ".join(listed)


def _buckets(settings: Settings) -> dict[str, list[str]]:
    """Return the buckets that settings name, and which settings those are."""
    places = {"catalog": settings.catalog.get("warehouse", "")}
    places |= {name: str(getattr(settings, name)) for name in ("landing", "exchange", "models", "reports")}
    found: dict[str, list[str]] = {}
    for name, place in places.items():
        if urlsplit(place).scheme in S3_SCHEMES:
            found.setdefault(urlsplit(place).netloc, []).append(name)
    return found


def _s3(endpoint: str, region: str) -> "S3FileSystem":
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    return S3FileSystem(
        endpoint_override=endpoint or None,
        region=region,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=CONNECT_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),
    )


def check_catalog(settings: Settings) -> str:
    """Return the catalog and the number of its namespaces. Raises UsageError if it does not answer."""
    if settings.uses_local_catalog:
        return "the local one in PostgreSQL"
    kind, uri = settings.catalog.get("type", ""), settings.catalog.get("uri", "")
    if kind not in KINDS and not settings.catalog.get("catalog-impl"):
        raise UsageError(f"setting catalog: type = {kind!r}: expected one of {', '.join(KINDS)}, or catalog-impl")
    if kind == "rest":
        _require_server(uri, "catalog", f"setting catalog: uri = {uri!r}")
    try:
        properties = {**pyiceberg_properties(settings), **catalog_secrets(settings)}
        namespaces = open_catalog(properties).list_namespaces()
    except ThroughlineError:
        raise
    except Exception as error:
        raise UsageError(
            f"setting catalog: the {kind} catalog at {uri} fails: {_short(error)}: check uri, warehouse and credential"
        ) from None
    return f"{kind} at {uri}, {len(namespaces)} namespaces"


def check_lease(settings: Settings) -> str:
    """Return where the lease is. Raises UsageError if its PostgreSQL does not answer or refuses the login."""
    if settings.lease_url is None:
        return "in the local PostgreSQL: it excludes runs of this home only; set lease_url to share it"
    return _answer_of(settings.lease_url, "lease_url")


def check_models(settings: Settings) -> str:
    """Return where saved models are. Raises UsageError if the PostgreSQL that names them refuses."""
    if settings.registry_url is None:
        return f"in {settings.models_folder}, of use to machines that share this folder"
    return f"in {settings.models_folder}, named {_answer_of(settings.registry_url, 'registry_url')}"


def _answer_of(url: SecretStr, setting: str) -> str:
    """Return where a PostgreSQL is. Raises UsageError if it does not answer or refuses the login."""
    try:
        with psycopg.connect(url.get_secret_value(), connect_timeout=int(CONNECT_SECONDS)) as connection:
            connection.execute("SELECT 1")
            info = connection.info
            return f"in PostgreSQL {info.dbname} on {info.host}:{info.port}"
    except psycopg.Error as error:
        raise UsageError(
            f"setting {setting}: PostgreSQL refuses: {_short(error)}: check host, user, password"
        ) from None


def _require_server(url: str, setting: str, found: str) -> None:
    """Raise UsageError if a URL names no HTTP server, or if nothing listens there. found: the value, for messages."""
    server = urlsplit(url)
    if server.scheme not in ("http", "https") or not server.hostname:
        raise UsageError(f"{found}: expected http://host:port or https://host:port")
    _require_listener(server.hostname, server.port or {"http": 80}.get(server.scheme, 443), setting)


def _require_listener(host: str | None, port: int, setting: str) -> None:
    try:
        with socket.create_connection((host or "", port), CONNECT_SECONDS):
            return
    except OSError as error:
        kind = "variable" if setting.isupper() else "setting"
        raise UsageError(
            f"{kind} {setting}: nothing answers on {host}:{port} ({error.strerror or error}): start that server, or "
            f"correct the address"
        ) from None


def _port(text: str, master: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"setting spark_master = {master!r}: expected spark://host:port")
    return int(text)


def one_line(problem: BaseException) -> str:
    """Return the message of an error as one line."""
    return " ".join(str(problem).split())


def _short(error: BaseException) -> str:
    """Return the first line of a message that a library wrote, which may be long."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300].rstrip(". :")
