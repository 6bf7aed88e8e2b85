"""The Spark session of a job: on the warm engine, on a given Spark Connect server, or in a process of spark-submit."""

import gc
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from pipeline.local import engine
from pipeline.runner.commands import step_environment
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession as ConnectSession

# On few lines, compiling plans and replanning cost more than running.
FEW_LINES = 300_000
OPTIONS_FOR_FEW_LINES = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
}
MAX_RETRIES = 6  # about 20 seconds; then the server counts as gone


@contextmanager
def open_session(settings: Settings, job: str) -> Iterator[SparkSession]:
    """Open a session of its own for a job, so that no option, cache or branch of another one leaks into it.

    On the warm engine, the work of sessions whose process has died is interrupted first. The end of the block closes
    the session, also after an error, and interrupts what it still runs.
    """
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit started this process
        yield SparkSession.builder.appName(job).getOrCreate()
        return
    if settings.spark_engine.startswith("sc://"):
        yield from _connected(settings.spark_engine)
        return
    warm = engine.start_engine(settings, step_environment(settings))
    for dead in engine.dead_sessions(settings):
        with suppress(Exception):  # the engine may have closed it already
            _connect(warm.url(dead)).stop()
        engine.forget_session(settings, dead)
    session_id = str(uuid.uuid4())
    engine.register_session(settings, session_id)
    try:
        yield from _connected(warm.url(session_id))
    finally:
        engine.forget_session(settings, session_id)


def tune(spark: SparkSession, lines: int) -> None:
    """Set the session's options by the number of landed lines that its work may read."""
    if lines <= FEW_LINES:
        for name, value in OPTIONS_FOR_FEW_LINES.items():
            spark.conf.set(name, value)


def _connected(url: str) -> Iterator[SparkSession]:
    session = _connect(url)
    # A collected session or checkpoint calls the server. In a thread of gRPC, where the collector may run, that call
    # would wait for itself; so garbage is collected here, in the job's own thread.
    gc.disable()
    try:
        yield session  # type: ignore[misc]  # a Connect session has the methods of the other kind
    finally:
        session.stop()
        gc.collect()
        gc.enable()


def _connect(url: str) -> "ConnectSession":
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # so that pyspark.sql.functions make columns for the server
    session = ConnectSession.builder.remote(url).create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=MAX_RETRIES)])
    return session
