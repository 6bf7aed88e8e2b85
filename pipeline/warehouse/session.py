"""The Spark session of a job: on the warm engine, on a given Spark Connect server, or in a process of spark-submit."""

import gc
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from pipeline.errors import ThroughlineError
from pipeline.local import engine
from pipeline.local.spark_config import catalog_options
from pipeline.runner.commands import step_environment
from pipeline.settings import Settings
from pipeline.transforms.log_size import SHORT_LOG

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession as ConnectSession

# On few lines, compiling plans and replanning cost more than running: a night of the demo, 280,000 lines, takes 29 s of
# the engine's processor time without and 46 s with them.
FEW_LINES = 300_000
OPTIONS_FOR_FEW_LINES = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    SHORT_LOG: "true",
}
# The warm engine is on this machine: about 8 seconds without an answer mean that it has ended.
WARM_RETRIES, WARM_BACKOFF_MILLIS = 6, 2000
ENDING_SECONDS = 5.0  # an engine that got SIGTERM answers with errors of any kind until it ends


@contextmanager
def open_session(settings: Settings, job: str) -> Iterator[SparkSession]:
    """Open a session of its own for a job, so that no option, cache or branch of another one leaks into it.

    On the warm engine, the work of sessions whose process has died is interrupted first. The end of the block closes
    the session, also after an error, and interrupts what it still runs.

    Raises ThroughlineError if the warm engine ends during the block.
    """
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit started this process
        yield SparkSession.builder.appName(job).getOrCreate()
        return
    if settings.spark_engine.startswith("sc://"):
        yield from _connected(_connect(settings.spark_engine))
        return
    warm = engine.start_engine(settings, step_environment(settings))
    for dead in engine.dead_sessions(settings):
        with suppress(Exception):  # the engine may have closed it already
            _connect_warm(warm.url(dead), {}).stop()
        engine.forget_session(settings, dead)
    session_id = str(uuid.uuid4())
    engine.register_session(settings, session_id)
    try:
        yield from _connected(_connect_warm(warm.url(session_id), catalog_options(settings)))
    except Exception as error:
        if not engine.has_ended(settings, warm, ENDING_SECONDS if isinstance(error, PySparkException) else 0):
            raise
        raise ThroughlineError(
            f"the Spark engine ended while {job} worked on it: was it killed, or is memory short? "
            f"its log: {engine.log_file(settings)}; run the command again"
        ) from error
    finally:
        engine.forget_session(settings, session_id)


def tune(spark: SparkSession, lines: int) -> None:
    """Set the session's options by the number of landed lines that its work may read."""
    if lines <= FEW_LINES:
        for name, value in OPTIONS_FOR_FEW_LINES.items():
            spark.conf.set(name, value)


def _connected(session: "ConnectSession") -> Iterator[SparkSession]:
    # A collected session or checkpoint calls the server. In a thread of gRPC, where the collector may run, that call
    # would wait for itself; so garbage is collected here, in the job's own thread. What was there before the session,
    # such as imported libraries, is left out: looking at it would take half a second a step.
    gc.disable()
    gc.freeze()
    try:
        yield session  # type: ignore[misc]  # a Connect session has the methods of the other kind
    finally:
        session.stop()
        gc.collect()
        gc.unfreeze()
        gc.enable()


def _connect_warm(url: str, options: Mapping[str, str]) -> "ConnectSession":
    """Open a session on the warm engine, with options. No call, not even the first, is retried longer than for seconds.

    The builder of sessions would set the options, its first call, with retries for ten minutes.
    """
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    _make_columns_for_the_server()
    session = ConnectSession(connection=url)
    session.client.set_retry_policies([DefaultPolicy(max_retries=WARM_RETRIES, max_backoff=WARM_BACKOFF_MILLIS)])
    ConnectSession._set_default_and_active_session(session)
    for name, value in options.items():
        session.conf.set(name, value)
    return session


def _connect(url: str) -> "ConnectSession":
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    _make_columns_for_the_server()
    return ConnectSession.builder.remote(url).create()


def _make_columns_for_the_server() -> None:
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # `pyspark.sql.functions` reads it
