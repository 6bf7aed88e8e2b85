"""A session on a warm engine that has ended: the first call ends in seconds, not after the ten minutes of Spark."""

import socket
import time
from typing import Any

import pytest

from pipeline.warehouse import session


def test_a_session_on_an_engine_that_has_ended_fails_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(session, "WARM_RETRIES", 2)
    monkeypatch.setattr(session, "WARM_BACKOFF_MILLIS", 100)
    monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")  # so that it is as before afterwards
    began = time.monotonic()
    with pytest.raises(Exception, match="UNAVAILABLE") as raised:
        session._connect_warm(f"sc://localhost:{port}/;user_id=throughline", {"spark.sql.ansi.enabled": "false"})
    assert time.monotonic() - began < 20 and isinstance(raised.value, Exception)


@pytest.fixture(autouse=True)
def no_active_session() -> Any:
    """Leave no session of a server that is gone to later tests of this worker."""
    from pyspark.sql.connect.session import SparkSession

    yield
    SparkSession._set_default_and_active_session(None)
