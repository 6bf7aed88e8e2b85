"""Asks the running Airflow over its REST API, as the web UI does."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from pipeline.days import DayRange
from pipeline.errors import ThroughlineError
from pipeline.local.airflow_config import OPERATOR, address, password
from pipeline.settings import Settings

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is nobody's proxy to reach


class AirflowApi:
    """The API of the embedded Airflow, logged in as its operator.

    Every method raises ThroughlineError, quoting the answer, if Airflow is away or refuses.
    """

    def __init__(self, settings: Settings) -> None:
        self._address = address(settings)
        self._headers = {"Content-Type": "application/json"}
        login = {"username": OPERATOR, "password": password(settings)}
        token = self.ask("POST", "/auth/token", login)["access_token"]
        self._headers["Authorization"] = f"Bearer {token}"

    def has_dag(self, dag_id: str) -> bool:
        """True once the DAG processor has read the file."""
        dags = self.ask("GET", f"/api/v2/dags?dag_id_pattern={quote(dag_id)}")["dags"]
        return any(dag["dag_id"] == dag_id for dag in dags)

    def switch_on(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self.ask("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def backfill(self, dag_id: str, days: DayRange) -> list[str]:
        """Start a backfill, one run at a time, oldest first; return the ids of its runs.

        Days that have a run already are run again.
        """
        wanted = {
            "dag_id": dag_id,
            "from_date": f"{days.first}T00:00:00Z",
            "to_date": f"{days.last}T00:00:00Z",
            "max_active_runs": 1,
            "reprocess_behavior": "completed",
        }
        self.ask("POST", "/api/v2/backfills", wanted)
        within = f"logical_date_gte={days.first}T00:00:00Z&logical_date_lte={days.last}T00:00:00Z"
        runs = self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns?{within}&order_by=logical_date")["dag_runs"]
        return [run["dag_run_id"] for run in runs if run["run_type"] == "backfill"]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return `queued`, `running`, `success` or `failed`."""
        return str(self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}")["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run."""
        answer = self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances")
        return {task["task_id"]: task["state"] for task in answer["task_instances"]}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer to one request."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._address}{path}", content, self._headers, method=method)
        try:
            with OPENER.open(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")[:500]
            raise ThroughlineError(f"Airflow refused {method} {path}: {error.code} {told}") from None
        except OSError as error:
            raise ThroughlineError(
                f"Airflow does not answer at {self._address}: {error}; `throughline up` starts it"
            ) from None
