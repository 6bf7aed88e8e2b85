"""MLflow on a file of this machine: no server, no telemetry, nothing asked of the network.

The first import takes seconds, so this module is imported where a store is opened and nowhere else.
"""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

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

MOST_AT_ONCE = 1000  # figures that MLflow takes in one go


def client_of(database: Path) -> MlflowClient:
    """Open the store in an SQLite file, made where there is none."""
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    address = f"sqlite:///{database.resolve()}"
    return MlflowClient(tracking_uri=address, registry_uri=address)


def log_curves(client: MlflowClient, run_id: str, points: Sequence[CurvePoint]) -> None:
    """Keep every figure of every point under its step, as `curve/<figure>`."""
    now = int(time.time() * 1000)
    metrics = [
        Metric(f"curve/{name}", value, now, point.step) for point in points for name, value in point.figures().items()
    ]
    for first in range(0, len(metrics), MOST_AT_ONCE):
        client.log_batch(run_id, metrics[first : first + MOST_AT_ONCE])
