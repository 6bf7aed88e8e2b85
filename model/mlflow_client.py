"""MLflow on a file of this machine: no server, no telemetry, nothing asked of the network.

The first import takes seconds, so this module is imported where a store is opened and nowhere else.
"""

import logging
import os
from pathlib import Path

from model.errors import ModelError

# Read by MLflow when it is imported.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

try:
    import alembic  # noqa: F401  # MLflow's SQL store needs it, and mlflow-skinny does not ask for it
    from mlflow import MlflowClient
except ModuleNotFoundError as missing:
    raise ModelError(
        f"the model registry needs the package {missing.name}, which is not installed: "
        f"install the dependency group `train` (uv sync --group train)"
    ) from None


def client_of(database: Path) -> MlflowClient:
    """Open the store in an SQLite file, made where there is none."""
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    address = f"sqlite:///{database.resolve()}"
    return MlflowClient(tracking_uri=address, registry_uri=address)
