"""The means of `make chaos`: a clock that is ahead, a gateway that answers 503, results of several runs."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.bench.chaos import __main__ as chaos
from tests.bench.chaos import home as chaos_home
from tests.bench.chaos.breaking import Outcome
from tests.bench.chaos.gateway import Outage, gateway_before
from tests.bench.chaos.home import ChaosHome, Readers
from tests.bench.chaos.points import READERS
from tests.bench.clock import Clock, why_no_clock

WAITS = """
import subprocess, threading, time
began = time.monotonic()
threading.Event().wait(0.1)
subprocess.Popen(["sleep", "0.1"]).wait(5)
print(time.time(), time.monotonic() - began)
"""
LOCK = threading.Lock()
COMMIT, READ = "/v1/namespaces/interest/tables/events", "/v1/config"


def test_a_clock_that_is_ahead_lets_no_wait_be_longer(tmp_path: Path) -> None:
    if reason := why_no_clock():
        pytest.skip(reason)
    variables = Clock(tmp_path / "clock", datetime.now(UTC) + timedelta(days=3)).variables
    done = subprocess.run(
        [sys.executable, "-c", WAITS], env={**os.environ, **variables}, capture_output=True, text=True, timeout=60
    )
    now, waited = map(float, done.stdout.split())
    assert now - time.time() == pytest.approx(3 * 86_400, abs=60)
    assert 0.2 <= waited < 30


@pytest.fixture
def asked() -> Iterator[tuple[list[str], int]]:
    """The requests that a catalog got, and its port."""
    got: list[str] = []

    class Catalog(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            got.append(f"{self.command} {self.path} {body.decode()}".strip())
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Catalog)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield got, server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("outage", "statuses", "commits"),
    [
        (Outage(), [200, 200, 200, 200, 200], ["a", "b", "c"]),
        (Outage(2), [200, 200, 503, 503, 503], ["a"]),
        (Outage(2, requests=1), [200, 200, 503, 200, 200], ["a", "c"]),
        (Outage(2, requests=1, is_late=True), [200, 200, 503, 200, 200], ["a", "b", "c"]),
    ],
    ids=["none", "from the second commit on", "for one request", "though it happens"],
)
def test_a_gateway_answers_503_from_a_commit_on(
    outage: Outage, statuses: list[int], commits: list[str], asked: tuple[list[str], int]
) -> None:
    got, port = asked
    with gateway_before(port) as gateway, httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}") as client:
        gateway.outage = outage
        answers = [client.get(READ), client.post(COMMIT, content="a"), client.post(COMMIT, content="b")]
        answers += [client.post(f"{COMMIT}/metrics", content="of a scan"), client.post(COMMIT, content="c")]
        assert [answer.status_code for answer in answers] == statuses
    assert [line.split()[-1] for line in got if line.startswith(f"POST {COMMIT} ")] == commits


def test_results_of_a_later_run_replace_those_of_the_same_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos, "RESULTS", tmp_path / "chaos.json")
    chaos.write_results([Outcome("a", "", 0, 1.0, 1, []), Outcome("b", "", 3, 1.0, 1, ["a fault"])])
    chaos.write_results([Outcome("b", "", 3, 2.0, 1, [])])
    points = json.loads((tmp_path / "chaos.json").read_text())["points"]
    assert [(one["point"], one["seconds"], one["faults"]) for one in points] == [("a", 1.0, []), ("b", 2.0, [])]


class DownAtFirst(ChaosHome):
    """A home whose catalog answers from the second second on, with the number of the catalog that is asked."""

    def __init__(self) -> None:
        super().__init__(Path("none"), {})
        vars(self).update(opened=0, began=time.monotonic())

    def catalog(self) -> Any:
        if time.monotonic() < vars(self)["began"] + 1:
            raise OSError("the server is down")
        with LOCK:
            vars(self)["opened"] += 1
            return vars(self)["opened"]

    def counts(self, catalog: Any = None) -> Any:
        return {"reader": catalog}


def test_fifty_readers_poll_each_by_a_catalog_of_its_own_and_wait_for_one_that_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chaos_home, "POLLS_PER_SECOND", 100.0)
    readers = Readers(DownAtFirst(), READERS)
    with readers.polling():
        time.sleep(4)
    assert READERS == 50 and {seen["reader"] for seen in readers.seen} == set(range(1, READERS + 1))
    assert len(readers.seen) >= 2 * READERS and readers.unanswered >= READERS / 2
