"""MLflow on its tables, in a file or in PostgreSQL: no server, no telemetry.

The first import takes seconds, so this module is imported where a store is opened and nowhere else.
"""

import logging
import os
import time
from collections.abc import Sequence

from model.errors import ModelError
from model.interfaces import CurvePoint

# Read by MLflow when it is imported.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

try:
    import alembic  # noqa: F401  # MLflow's SQL store needs it, and mlflow-skinny does not ask for it
    from mlflow import MlflowClient
    from mlflow.entities import Metric
except ModuleNotFoundError as missing:
    raise ModelError(
        f"the model registry needs the package {missing.name}, which is not installed: "
        f"install the dependency group `train` (uv sync --group train)"
    ) from None

MAX_METRICS_PER_CALL = 1000  # limit of MLflow


def client_of(address: str) -> MlflowClient:
    """Open the store in a database, by its SQLAlchemy URL. Its tables, or its file, are made if missing."""
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=address, registry_uri=address)


def log_curves(client: MlflowClient, run_id: str, points: Sequence[CurvePoint]) -> None:
    """Log every value of every point under its step, as `curve/<name>`."""
    now = int(time.time() * 1000)
    metrics = [
        Metric(f"curve/{name}", value, now, point.step) for point in points for name, value in point.figures().items()
    ]
    for first in range(0, len(metrics), MAX_METRICS_PER_CALL):
        client.log_batch(run_id, metrics[first : first + MAX_METRICS_PER_CALL])
