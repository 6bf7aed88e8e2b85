"""An evaluation as JSON: every figure, and a hash of all that decided it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import Any

from model.data.cutoffs import Split
from model.data.users import MAX_USERS
from model.evaluation.backtest import Evaluation
from model.evaluation.entrants import Pretrained
from model.evaluation.holdout import LISTED
from model.evaluation.results import Differences, LeaderboardRow
from model.interfaces import Model
from model.metrics import RESAMPLES, SEED

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "torchmetrics", "xgboost", "xgboost-cpu")


@dataclass(frozen=True)
class Configuration:
    """What decides an evaluation's figures, apart from the code."""

    values: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the values as canonical JSON: sorted keys, no spaces."""
        return sha256(json.dumps(self.values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def configuration(
    split: Split,
    sequences_snapshot: int | None,
    families: Mapping[str, Sequence[Model]],
    ready: Sequence[Pretrained],
    returning: Sequence[str],
) -> Configuration:
    """Gather what is to be hashed."""
    return Configuration(
        {
            "split": split.as_json(),
            "sequences_snapshot": sequences_snapshot,
            "families": {name: [dict(one.settings()) for one in family] for name, family in families.items()},
            "ready": [one.name for one in ready],
            "returning": sorted(returning),
            "most_users": MAX_USERS,
            "listed": LISTED,
            "bootstrap": {"resamples": RESAMPLES, "seed": SEED},
            "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        }
    )


def report(evaluation: Evaluation, configuration: Configuration, run_id: str) -> Mapping[str, Any]:
    """Return the whole as JSON; a figure that is not defined is null."""
    told: Mapping[str, Any] = _defined(
        {
            "run_id": run_id,
            "configuration_hash": configuration.hash,
            "configuration": configuration.values,
            "users": evaluation.users,
            "test_users": evaluation.test_users,
            "returned_users": evaluation.returned_users,
            "tags": evaluation.tags,
            "best": evaluation.leaderboard.best.name,
            "contestants": [_contestant(one, evaluation) for one in evaluation.leaderboard.rows],
            "return_auc": evaluation.return_auc,
        }
    )
    return told


def _contestant(row: LeaderboardRow, evaluation: Evaluation) -> dict[str, Any]:
    judged = row.judged
    return {
        "name": judged.name,
        "settings": judged.settings,
        "tried": evaluation.tried[judged.name],
        "figures": judged.figures,
        "intervals": _differences(row.intervals),
        "against_best": _differences(row.against_best),
        "against_counts": _differences(row.against_counts),
        "threshold": judged.learnt.threshold,
        "calibration": judged.learnt.calibrator.as_json() if judged.learnt.calibrator else None,
        "before_calibration": judged.before.as_json() if judged.before else None,
        "after_calibration": judged.after.as_json() if judged.after else None,
        "cohorts": {
            cohort: {"users": judged.users_of[cohort], **figures} for cohort, figures in judged.cohort_figures.items()
        },
        "seconds": asdict(judged.cost),
        "learning_curve": judged.learning_curve.as_json() if judged.learning_curve else None,
    }


def _differences(differences: Differences | None) -> dict[str, Any] | None:
    return {metric: asdict(one) for metric, one in differences.items()} if differences else None


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _defined(value: Any) -> Any:
    """Replace nan and infinity, which JSON does not know, by null."""
    if isinstance(value, Mapping):
        return {str(name): _defined(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
