"""A client of the local Airflow's REST API."""

from typing import Any
from urllib.parse import quote

import httpx

from pipeline.days import DayRange
from pipeline.errors import ThroughlineError
from pipeline.local.airflow_config import OPERATOR, address, password
from pipeline.settings import Settings

PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def unhealthy_parts(settings: Settings) -> list[str]:
    """Return the parts of Airflow that do not report that they are healthy."""
    try:
        with _client(settings, timeout=5) as client:
            health = client.get("/api/v2/monitor/health").raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return ["api-server"]
    return [part for part in PARTS if (health.get(part) or {}).get("status") != "healthy"]


class AirflowApi:
    """The REST API, logged in as the operator.

    Every method raises ThroughlineError if Airflow does not answer, or quoting its answer if it refuses.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = _client(settings, timeout=60)
        login = {"username": OPERATOR, "password": password(settings)}
        self._client.headers["Authorization"] = f"Bearer {self.request('POST', '/auth/token', login)['access_token']}"

    def has_dag(self, dag_id: str) -> bool:
        """Return whether the DAG processor has read the DAG."""
        dags = self.request("GET", "/api/v2/dags", dag_id_pattern=dag_id)["dags"]
        return any(dag["dag_id"] == dag_id for dag in dags)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self.request("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def backfill(self, dag_id: str, days: DayRange) -> list[str]:
        """Start a backfill, one run at a time, oldest first; return the ids of its runs.

        Days that already have a run are run again.
        """
        first, last = (f"{day}T00:00:00Z" for day in (days.first, days.last))
        backfill = {"dag_id": dag_id, "from_date": first, "to_date": last, "max_active_runs": 1}
        self.request("POST", "/api/v2/backfills", {**backfill, "reprocess_behavior": "completed"})
        runs = self.request(
            "GET",
            f"/api/v2/dags/{dag_id}/dagRuns",
            logical_date_gte=first,
            logical_date_lte=last,
            order_by="logical_date",
        )["dag_runs"]
        return [run["dag_run_id"] for run in runs if run["run_type"] == "backfill"]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return `queued`, `running`, `success` or `failed`."""
        return str(self.request("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}")["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run, by task id."""
        answer = self.request("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances")
        return {task["task_id"]: task["state"] for task in answer["task_instances"]}

    def request(self, method: str, path: str, body: Any = None, **parameters: str) -> Any:
        """Return the answer to one request. parameters: of the query string."""
        try:
            answer = self._client.request(method, path, json=body, params=parameters or None)
        except httpx.HTTPError as error:
            raise ThroughlineError(
                f"Airflow does not answer at {self._client.base_url}: {error}; `throughline up` starts it"
            ) from None
        if answer.is_error:
            raise ThroughlineError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()


def _client(settings: Settings, timeout: float) -> httpx.Client:
    # trust_env=False: no proxy of the environment can reach loopback.
    return httpx.Client(base_url=address(settings), timeout=timeout, trust_env=False)
