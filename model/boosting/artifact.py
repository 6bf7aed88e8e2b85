"""Keeps a forest as two files of plain data: `model.json` and `trees.npz`. Reading them runs no code of theirs."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np

from model.boosting.features import feature_names
from model.boosting.forest import Forest
from model.boosting.trees import Trees
from model.counts.calibration import Calibration
from model.errors import InputError

TOLD = "model.json"
TREES = "trees.npz"
ARRAYS = tuple(field.name for field in fields(Trees) if field.name != "baseline")


def write_forest(forest: Forest, folder: Path) -> None:
    """Write the files of a forest into an existing folder."""
    told = {
        "actions": forest.actions,
        "features": feature_names(forest.actions),
        "baseline": forest.trees.baseline,
        "calibration": {"stated": forest.calibration.stated, "observed": forest.calibration.observed},
    }
    (folder / TOLD).write_text(json.dumps(told, indent=2) + "\n")
    np.savez_compressed(folder / TREES, allow_pickle=False, **{name: getattr(forest.trees, name) for name in ARRAYS})


def read_forest(folder: Path) -> Forest:
    """Read what `write_forest` wrote. Raises InputError if it looks at other features than this code computes."""
    told = json.loads((folder / TOLD).read_text())
    actions = tuple(told["actions"])
    unlike = sorted(set(told["features"]).symmetric_difference(feature_names(actions)))
    if unlike or tuple(told["features"]) != feature_names(actions):
        raise InputError(
            f"the model in {folder} looks at other features than this version computes "
            f"({', '.join(unlike) or 'in another order'}): train again, or score with --model none"
        )
    with np.load(folder / TREES, allow_pickle=False) as arrays:
        trees = Trees(baseline=float(told["baseline"]), **{name: arrays[name] for name in ARRAYS})
    calibration = told["calibration"]
    return Forest(actions, trees, Calibration(tuple(calibration["stated"]), tuple(calibration["observed"])))
