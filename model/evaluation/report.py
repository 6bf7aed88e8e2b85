"""An evaluation as JSON: every figure, and a hash of the configuration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import Any

from model.data.cutoffs import Cutoffs
from model.data.users import MAX_USERS
from model.evaluation.backtest import Evaluation
from model.evaluation.entrants import Pretrained
from model.evaluation.holdout import LISTED
from model.evaluation.results import Differences, LeaderboardRow
from model.interfaces import Model
from model.metrics import RESAMPLES, SEED

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "xgboost", "xgboost-cpu")


@dataclass(frozen=True)
class Configuration:
    """Everything that determines an evaluation's figures, except the code."""

    values: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the values as canonical JSON: sorted keys, no spaces."""
        return sha256(json.dumps(self.values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def configuration(
    split: Cutoffs,
    sequences_snapshot: int | None,
    search_spaces: Mapping[str, Sequence[Model]],
    pretrained: Sequence[Pretrained],
    returning: Sequence[str],
) -> Configuration:
    """Return the configuration of an evaluation."""
    return Configuration(
        {
            "split": split.as_json(),
            "sequences_snapshot": sequences_snapshot,
            "search_spaces": {name: [dict(one.settings()) for one in models] for name, models in search_spaces.items()},
            "pretrained": [one.name for one in pretrained],
            "returning": sorted(returning),
            "max_users": MAX_USERS,
            "listed": LISTED,
            "bootstrap": {"resamples": RESAMPLES, "seed": SEED},
            "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        }
    )


def report(evaluation: Evaluation, configuration: Configuration, run_id: str) -> Mapping[str, Any]:
    """Return the evaluation as JSON. An undefined figure is null."""
    whole: Mapping[str, Any] = _defined(
        {
            "run_id": run_id,
            "configuration_hash": configuration.hash,
            "configuration": configuration.values,
            "users": evaluation.users,
            "test_users": evaluation.test_users,
            "returned_users": evaluation.returned_users,
            "tags": evaluation.tags,
            "best": evaluation.leaderboard.best.name,
            "models": [_model(one, evaluation) for one in evaluation.leaderboard.rows],
            "return_auc": evaluation.return_auc,
        }
    )
    return whole


def _model(row: LeaderboardRow, evaluation: Evaluation) -> dict[str, Any]:
    result = row.result
    return {
        "name": result.name,
        "settings": result.settings,
        "tried": evaluation.tried[result.name],
        "figures": result.figures,
        "intervals": _differences(row.intervals),
        "against_best": _differences(row.against_best),
        "against_counts": _differences(row.against_counts),
        "threshold": result.reading.threshold,
        "calibration": result.reading.calibrator.as_json() if result.reading.calibrator else None,
        "before_calibration": result.before.as_json() if result.before else None,
        "after_calibration": result.after.as_json() if result.after else None,
        "cohorts": {
            cohort: {"users": result.users_of[cohort], **figures} for cohort, figures in result.cohort_figures.items()
        },
        "seconds": asdict(result.cost),
    }


def _differences(differences: Differences | None) -> dict[str, Any] | None:
    return {metric: asdict(one) for metric, one in differences.items()} if differences else None


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _defined(value: Any) -> Any:
    """Replace nan and infinity, which JSON does not have, by null."""
    if isinstance(value, Mapping):
        return {str(name): _defined(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
