"""An S3 server and an Iceberg REST catalog on loopback, for tests and benchmarks.

The S3 server is versitygw, a gateway to a folder. The catalog is Iceberg's own servlet behind Jetty, with its tables in
SQLite; its jars come from Maven, by the Ivy that pyspark has.
"""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyspark
import pytest

from pipeline.local.java import prepare_java
from pipeline.settings import Settings
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".throughline" / "bin"
CATALOG_JARS = ROOT / ".throughline" / "jars" / "rest-catalog"
SPARK_JARS = Path(pyspark.__file__).parent / "jars"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
HOST = "127.0.0.1"
BUCKET = "lake"
START_SECONDS = 60.0
ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key-of-the-lake"
IVY = """\
<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">
  <info organisation="throughline" module="rest-catalog"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
    <dependency org="org.apache.iceberg" name="iceberg-core" rev="1.11.0" conf="default->default">
      <artifact name="iceberg-core" type="jar" ext="jar"/>
      <artifact name="iceberg-core" type="jar" ext="jar" m:classifier="tests"/>
    </dependency>
    <dependency org="org.apache.iceberg" name="iceberg-aws" rev="1.11.0" conf="default->master"/>
    <dependency org="org.apache.iceberg" name="iceberg-aws-bundle" rev="1.11.0" conf="default->master"/>
    <dependency org="dev.failsafe" name="failsafe" rev="3.3.2" conf="default->master"/>
    <dependency org="org.xerial" name="sqlite-jdbc" rev="3.50.3.0" conf="default->master"/>
    <dependency org="org.eclipse.jetty.ee10" name="jetty-ee10-servlet" rev="12.1.5" conf="default->default"/>
  </dependencies>
</ivy-module>
"""


class Busy(BaseHTTPRequestHandler):
    """Answers 503 to everything."""

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _refuse

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def busy_server(port: int = 0) -> Iterator[int]:
    """Answer 503 on a port of loopback for the block; yield the port."""
    server = ThreadingHTTPServer((HOST, port), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@dataclass
class S3Server:
    """versitygw on a port, whose buckets are the folders in `folder`/s3."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        server = find_s3_server()
        assert server, why_not()
        command = [str(server), "--port", f"{HOST}:{self.port}", "--quiet", "posix", str(self.folder / "s3")]
        keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        with (self.folder / "s3.log").open("ab") as log:
            self.process = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=log)
        wait_for(self.port)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()

    def be_busy(self, seconds: float) -> None:
        """End the server, answer 503 in its place for some seconds, and start it again."""
        self.stop()
        with busy_server(self.port):
            time.sleep(seconds)
        self.start()


@dataclass(frozen=True)
class RemoteStack:
    """A running S3 server with one bucket, and a REST catalog whose tables lie in it.

    state: the folder with `catalog.db` of the catalog and `s3`, what the buckets hold as files.
    """

    s3_url: str
    catalog_url: str
    state: Path
    server: S3Server

    @property
    def folder(self) -> Path:
        """What the bucket holds, as files."""
        return self.state / "s3" / BUCKET

    @property
    def warehouse(self) -> str:
        return f"s3://{BUCKET}/warehouse"

    @property
    def catalog(self) -> dict[str, str]:
        """The setting `catalog`. It holds no key and no address of S3."""
        return {"type": "rest", "uri": self.catalog_url, "warehouse": self.warehouse}

    @property
    def variables(self) -> dict[str, str]:
        """The variables by which Amazon's SDKs find the server and its keys."""
        return s3_variables(self.s3_url)


def find_s3_server() -> Path | None:
    """Return versitygw on the PATH or in `.throughline/bin`, if it is there."""
    found = shutil.which("versitygw") or shutil.which("versitygw", path=BIN)
    return Path(found) if found else None


def why_not() -> str | None:
    """Return why the stack cannot run here and how to change that; None if it can."""
    if find_s3_server():
        return None
    return f"no S3 server: neither versitygw on the PATH nor {BIN}/versitygw; GOBIN={BIN} go install {VERSITYGW}"


def s3_variables(url: str) -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    return {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **keys}


@contextmanager
def bucket_in_s3() -> Iterator[str]:
    """Give the address of an empty bucket, which this process reaches by its variables, for the block."""
    if reason := why_not():
        pytest.skip(reason)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as here:
        (Path(folder) / "s3" / BUCKET).mkdir(parents=True)
        port = free_port()
        for name, value in s3_variables(f"http://{HOST}:{port}").items():
            here.setenv(name, value)
        with running(S3Server(Path(folder), port)):
            yield f"s3://{BUCKET}"


@contextmanager
def remote_stack(folder: Path) -> Iterator[RemoteStack]:
    """Run an S3 server and a REST catalog with their state in a folder, for the block."""
    s3_port, catalog_port = free_port(), free_port()
    server = S3Server(folder, s3_port)
    stack = RemoteStack(f"http://{HOST}:{s3_port}", f"http://{HOST}:{catalog_port}", folder, server)
    stack.folder.mkdir(parents=True)
    with running(server), rest_catalog(folder, catalog_port, stack.warehouse, stack.variables):
        yield stack


@contextmanager
def running(server: S3Server) -> Iterator[None]:
    """Run an S3 server for the block."""
    try:
        server.start()
        yield
    finally:
        server.stop()


@contextmanager
def rest_catalog(folder: Path, port: int, warehouse: str, variables: Mapping[str, str] | None = None) -> Iterator[None]:
    """Serve a catalog for the block, with its state in a folder and its tables in `warehouse`: s3:// or file://.

    variables: by which Amazon's SDKs find S3.

    Python builds the server in a JVM, since Iceberg's own main class listens on all addresses.
    """
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

    java = str(prepare_java(Settings(home=folder)).home / "bin" / "java")
    jars = [f"{_fetch_jars(java)}/*", *map(str, sorted(SPARK_JARS.glob("hadoop-client-*.jar")))]
    jars += map(str, [*SPARK_JARS.glob("slf4j-api-*.jar"), *SPARK_JARS.glob("py4j-*.jar")])
    before = dict(os.environ)
    os.environ.update(variables or {})  # the JVM inherits them
    try:
        gateway_port, token = launch_gateway(
            classpath=os.pathsep.join(jars),
            jarpath=str(next(SPARK_JARS.glob("py4j-*.jar"))),
            javaopts=["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
            die_on_exit=True,
            enable_auth=True,
            java_path=java,
        )
    finally:
        os.environ.clear()
        os.environ.update(before)
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=gateway_port, auth_token=token, auto_convert=True))
    try:
        server = _start_catalog(gateway.jvm, folder, port, warehouse)
        wait_for(port)
        yield
        server.stop()
    finally:
        gateway.shutdown()


def _start_catalog(jvm: Any, folder: Path, port: int, warehouse: str) -> Any:
    catalog = jvm.org.apache.iceberg.jdbc.JdbcCatalog()
    in_s3 = {"io-impl": "org.apache.iceberg.aws.s3.S3FileIO", "s3.path-style-access": "true"}
    properties = {
        "uri": f"jdbc:sqlite:{folder}/catalog.db",
        "jdbc.schema-version": "V1",
        "clients": "1",  # SQLite takes one writer at a time
        "warehouse": warehouse,
        **(in_s3 if warehouse.startswith("s3:") else {}),
    }
    catalog.setConf(jvm.org.apache.hadoop.conf.Configuration())  # files of this machine are read by Hadoop
    catalog.initialize("rest", properties)
    rest, servlet = jvm.org.apache.iceberg.rest, jvm.org.eclipse.jetty.ee10.servlet
    context = servlet.ServletContextHandler()
    context.addServlet(servlet.ServletHolder(rest.RESTCatalogServlet(rest.RESTCatalogAdapter(catalog))), "/*")
    server = jvm.org.eclipse.jetty.server.Server(jvm.java.net.InetSocketAddress(HOST, port))
    server.setHandler(context)
    server.start()
    return server


def _fetch_jars(java: str) -> Path:
    """Return the folder of the catalog's jars; the first use fetches them (100 MB)."""
    done = CATALOG_JARS / "ivy.xml"
    if done.is_file() and done.read_text() == IVY:
        return CATALOG_JARS
    CATALOG_JARS.mkdir(parents=True, exist_ok=True)
    wanted = CATALOG_JARS / "wanted.xml"
    wanted.write_text(IVY)
    ivy = next(SPARK_JARS.glob("ivy-*.jar"))
    pattern = f"{CATALOG_JARS}/[artifact]-[revision](-[classifier]).[ext]"
    command = [java, "-jar", str(ivy), "-ivy", str(wanted), "-confs", "default"]
    command += ["-cache", str(CATALOG_JARS / "cache"), "-retrieve", pattern]
    fetched = subprocess.run(command, capture_output=True, text=True, check=False)
    assert fetched.returncode == 0, fetched.stdout[-2000:] + fetched.stderr[-2000:]
    wanted.replace(done)
    return CATALOG_JARS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until a server listens on a port of this machine."""

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    wait_until(listens, START_SECONDS, every=0.1)
