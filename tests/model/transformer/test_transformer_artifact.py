"""transformer-1 on disk: the same again, and nothing that this code would misread."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.baselines.next_tag import NextTagBySessions
from model.baselines.vsknn import VsknnSettings
from model.counts.model import Counts1
from model.data.history import History
from model.data.scores import Scores
from model.errors import InputError
from model.interfaces import TrainingData
from model.model_selection import load
from model.registry import Registry, Training
from model.training.challengers import TrainedTransformer
from model.transformer.publish import SavedTransformer
from model.transformer.stacked_features import stacked_model_as_of, write_stacked_model


@pytest.fixture
def folder(learnt: TrainedTransformer, tmp_path: Path) -> Path:
    learnt.kept.save(tmp_path)
    return tmp_path


def test_what_is_read_back_scores_the_same_and_is_plain_data(
    learnt: TrainedTransformer, folder: Path, weeks: dict[int, History], counts: Counts1
) -> None:
    told, again = (kept.scorer("t", counts).score(weeks[0]) for kept in (learnt.kept, SavedTransformer.read(folder)))
    for field in fields(Scores):
        assert np.array_equal(getattr(told, field.name), getattr(again, field.name)), field.name
    assert sorted(file.name for file in folder.iterdir()) == [
        "model.json", "networks-0.safetensors", "networks-1.safetensors", "path-1.ubj", "path-2.npz",
    ]  # fmt: skip


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told: told.update(format=3), "is of the format 3, expected 2: another version made it; train again"),
        (lambda told: told.pop("format"), "is of the format None, expected 2"),
        (lambda told: told["size"].update(depth=3), "the size of the model in .* is not told as this version does"),
        (lambda told: told["size"].update(width=32), "does not hold the weights of a network that this version builds"),
        (lambda told: told["paths"][0].update(kind="vsknn"), "has a path of the kind 'vsknn', expected counts-1, boos"),
    ],
)
def test_what_another_version_wrote_is_refused(change: Change, says: str, folder: Path) -> None:
    told = json.loads((folder / "model.json").read_text())
    change(told)
    (folder / "model.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=says):
        SavedTransformer.read(folder)


def test_half_a_file_of_weights_is_refused(folder: Path) -> None:
    weights = folder / "networks-1.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"networks-1.safetensors does not hold the weights"):
        SavedTransformer.read(folder)


def test_the_registry_gives_it_back_and_refuses_an_altered_one(learnt: TrainedTransformer, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    training = Training("t", {}, {}, date(2026, 3, 24), 1, {})
    version = registry.register(learnt.kept.kind, training, registry.record(training), learnt.kept.save, True)
    assert version.name == "transformer-1.20260324"
    assert isinstance(load(version, registry), SavedTransformer)
    weights = tmp_path / "mlruns" / "models" / version.name / "networks-0.safetensors"
    perturbed = bytearray(weights.read_bytes())
    perturbed[-1] ^= 1
    weights.write_bytes(perturbed)
    with pytest.raises(InputError, match=r"is not the one registered as transformer-1\.20260324: found sha256"):
        load(version, registry)


def test_a_kind_from_the_future_is_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    training = Training("t", {}, {}, date(2026, 3, 24), 1, {})
    made = registry.register("oracle-9", training, registry.record(training), lambda to: None, True)
    with pytest.raises(InputError, match="is of the kind oracle-9, expected boosting-1 or transformer-1: a newer"):
        load(made, registry)


def test_a_path_that_remembers_other_users_is_not_kept(
    training_data: TrainingData, learnt: TrainedTransformer, counts: Counts1, tmp_path: Path
) -> None:
    voting = NextTagBySessions(VsknnSettings()).fit(training_data)
    with pytest.raises(ValueError, match="NextTagRanker cannot be kept; expected the ranker of counts-1"):
        SavedTransformer(replace(learnt.kept.model, paths=(voting,))).save(tmp_path)
    with pytest.raises(ValueError, match="cannot be kept"):
        stacked_model_as_of(voting, counts, counts.end)
    assert write_stacked_model(learnt.kept.model.paths[0], tmp_path, 0) == {"kind": "counts-1"}
