"""Alerts: always logged, posted if a webhook is set, never a failure of their own."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.alerts import deadline_missed, task_failed
from orchestration.operators import Command


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What was posted to a webhook on this machine."""
    received: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("THROUGHLINE_ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/secret-path")
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def failure(run_of: Any) -> dict[str, Any]:
    text = "python ended with exit code 1. Its last lines:\nthroughline: line_accounting: 1 broken of 2 rules"
    task = SimpleNamespace(task_id="clean", log_url="http://127.0.0.1/log")
    return {"ti": task, "dag_run": run_of("scheduled", run_id="monday"), "exception": Exception(text)}


def test_a_failed_task_is_posted_with_its_reason(posted: list[dict[str, Any]], failure: dict[str, Any]) -> None:
    task_failed(failure)
    assert posted == [
        {
            "what": "task failed",
            "dag": "a_dag",
            "run": "monday",
            "task": "clean",
            "why": "line_accounting: 1 broken of 2 rules",
            "log": "http://127.0.0.1/log",
        }
    ]


def test_a_missed_deadline_is_posted(posted: list[dict[str, Any]]) -> None:
    asyncio.run(deadline_missed({"dag_run": {"dag_id": "interest_nightly", "dag_run_id": "monday"}}))
    assert posted == [{"what": "deadline missed", "dag": "interest_nightly", "run": "monday"}]


def test_a_source_that_a_night_sets_aside_is_posted(posted: list[dict[str, Any]], failure: dict[str, Any]) -> None:
    warning = "warning: set aside shop 2026-01-31: 30 of 90 lines (30 unparsable); all lines of the day are kept out"
    command = Command(task_id="clean", command=[sys.executable, "-c", f"print({warning!r})"])
    command.execute(failure)
    assert [(one["what"], one["run"], one["why"]) for one in posted] == [
        ("source set aside", "monday", warning.removeprefix("warning: set aside "))
    ]


def test_without_a_webhook_an_alert_is_logged(failure: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        task_failed(failure)
    assert "line_accounting: 1 broken of 2 rules" in caplog.text


def test_an_unreachable_webhook_is_logged_without_its_address(
    failure: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THROUGHLINE_ALERT_WEBHOOK", "http://127.0.0.1:1/secret-path")
    with caplog.at_level(logging.ERROR):
        task_failed(failure)
    assert "could not be posted" in caplog.text and "secret-path" not in caplog.text
