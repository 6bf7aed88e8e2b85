"""The REST client, against a server on this machine that stands in for Airflow."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipeline.days import day_range
from pipeline.errors import ThroughlineError
from pipeline.local.airflow_client import AirflowApi, unhealthy_parts
from pipeline.settings import Settings

RUN_ID = "backfill__2026-02-01T00:00:00+00:00"
ANSWERS: dict[str, Any] = {
    "/auth/token": {"access_token": "a-token"},
    "/api/v2/monitor/health": {"metadatabase": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}},
    "/api/v2/backfills": {},
    "/api/v2/dags/night/dagRuns": {
        "dag_runs": [
            {"dag_run_id": RUN_ID, "run_type": "backfill"},
            {"dag_run_id": "manual", "run_type": "manual"},
        ]
    },
    f"/api/v2/dags/night/dagRuns/{RUN_ID.replace(':', '%3A').replace('+', '%2B')}": {"state": "running"},
}


class FakeAirflow(BaseHTTPRequestHandler):
    """Answers from ANSWERS, and 403 to a request that is not logged in."""

    requests: ClassVar[list[tuple[str, str, Any]]] = []

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.requests.append((self.command, self.path, json.loads(body) if body else None))
        path = self.path.split("?")[0]
        is_allowed = path.startswith(("/auth", "/api/v2/monitor")) or self.headers["Authorization"] == "Bearer a-token"
        self.send_response(200 if is_allowed and path in ANSWERS else 403)
        self.end_headers()
        self.wfile.write(json.dumps(ANSWERS.get(path, {"detail": "no such page"})).encode())

    do_GET = do_POST = do_PATCH = answer

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # a proxy of the environment must not be used
    monkeypatch.setattr(FakeAirflow, "requests", [])
    server = HTTPServer(("127.0.0.1", 0), FakeAirflow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Settings(home=tmp_path, airflow_port=server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_backfill_returns_the_ids_of_its_runs(settings: Settings) -> None:
    api = AirflowApi(settings)
    assert api.backfill("night", day_range("2026-01-31", None, None)) == [RUN_ID]
    [_, (method, path, body), (_, query, _)] = FakeAirflow.requests
    assert (method, path) == ("POST", "/api/v2/backfills")
    assert (body["from_date"], body["to_date"], body["max_active_runs"]) == (
        "2026-01-31T00:00:00Z",
        "2026-01-31T00:00:00Z",
        1,
    )
    assert "logical_date_gte=2026-01-31T00%3A00%3A00Z" in query and "order_by=logical_date" in query
    assert api.run_state("night", RUN_ID) == "running"


def test_parts_without_a_healthy_status_are_unhealthy(settings: Settings) -> None:
    assert unhealthy_parts(settings) == ["scheduler", "triggerer", "dag_processor"]


def test_a_refusal_quotes_the_answer(settings: Settings) -> None:
    with pytest.raises(ThroughlineError, match=r"refused PATCH /api/v2/dags/other: 403 .*no such page"):
        AirflowApi(settings).unpause("other")


def test_no_answer_names_the_address_and_what_to_do(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, airflow_port=1025)
    assert unhealthy_parts(settings) == ["api-server"]
    with pytest.raises(ThroughlineError, match=r"does not answer at http://127\.0\.0\.1:1025.*`throughline up`"):
        AirflowApi(settings)
