"""DAG files as Airflow parses them, without a database, in a temporary Airflow home."""

import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "dags"

# Airflow reads its configuration when it is imported.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-of-tests-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
sys.path.insert(0, str(DAGS))


@pytest.fixture(scope="session")
def dags() -> dict[str, Any]:
    """Return the DAGs by id."""
    import importlib.util

    found = {}
    for file in sorted(DAGS.glob("*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[module.dag.dag_id] = module.dag
    return found


@pytest.fixture
def run_of() -> Any:
    """Return the function that makes a DAG run as a task sees it."""

    def make(run_type: str, interval: Any = None, run_id: str = "a_run") -> SimpleNamespace:
        start, end = interval or (None, None)
        return SimpleNamespace(
            dag_id="a_dag", run_id=run_id, run_type=run_type, data_interval_start=start, data_interval_end=end
        )

    return make
