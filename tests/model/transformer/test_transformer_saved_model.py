"""transformer-1 on disk: written, read back, and refused if another version wrote it."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from model.baselines.next_tag import NextTagBySessions
from model.baselines.simple import CountsRanker
from model.baselines.vsknn import VsknnSettings
from model.counts.model import Counts1
from model.data.history import History
from model.errors import InputError
from model.interfaces import TrainingData
from model.model_selection import load
from model.registry import Registry, Training
from model.training.challengers import TrainedTransformer
from model.transformer.publish import SavedTransformer
from model.transformer.stacked_features import stacked_model_as_of


@pytest.fixture
def folder(trained: TrainedTransformer, tmp_path: Path) -> Path:
    trained.saved.save(tmp_path)
    return tmp_path


def test_a_saved_model_scores_the_same_and_is_plain_data(
    trained: TrainedTransformer, folder: Path, weeks: dict[int, History], counts: Counts1
) -> None:
    before, after = (
        kept.scorer("t", counts, weeks[0]).score(weeks[0]) for kept in (trained.saved, SavedTransformer.read(folder))
    )
    for one, other in ((before, after), (before.reasons, after.reasons)):
        for field in fields(one):
            if field.name != "reasons":
                assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name
    assert sorted(file.name for file in folder.iterdir()) == [
        "model.json", "network-0.safetensors", "network-1.safetensors", "stacked-1.ubj", "stacked-2.npz",
    ]  # fmt: skip


def test_a_saved_model_holds_no_row_of_a_user(folder: Path, weeks: dict[int, History]) -> None:
    """Neither an id nor an array with an entry a user: what is saved is of tags, items and weights."""
    users = weeks[0].user_id_U
    saved = b"".join(file.read_bytes() for file in folder.iterdir())
    assert len(users) == 150 and not any(str(one).encode() in saved for one in users)
    shapes = [one.shape for number in (0, 1) for one in load_file(folder / f"network-{number}.safetensors").values()]
    shapes += [one.shape for one in np.load(folder / "stacked-2.npz").values()]
    assert len(shapes) > 40 and not any(len(users) in shape for shape in shapes)


def test_saved_weights_have_no_optional_parts(folder: Path) -> None:
    names = set(load_file(folder / "network-0.safetensors"))
    assert {name.split(".")[0] for name in names} == {
        "embedding", "encoder", "interest_decoder", "pointer_head", "mixture_head", "affinity_scale", "return_head",
    }  # fmt: skip
    assert not any("content" in name for name in names)


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda saved: saved.update(format=2),
            "has format 2, expected 3: another version wrote it; train again, or score",
        ),
        (lambda saved: saved.pop("format"), "has format None, expected 3"),
        (lambda saved: saved["config"].update(depth=3), "the config of the model in .* does not fit this version"),
        (lambda saved: saved["config"].update(width=32), "does not hold the weights of a network of this version"),
        (
            lambda saved: saved["stacked_models"][0].update(kind="vsknn"),
            "a stacked model of the kind 'vsknn', expected counts-1",
        ),
    ],
)
def test_a_model_of_another_version_is_refused(change: Change, message: str, folder: Path) -> None:
    saved = json.loads((folder / "model.json").read_text())
    change(saved)
    (folder / "model.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match=message):
        SavedTransformer.read(folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    weights = folder / "network-1.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"network-1.safetensors does not hold the weights"):
        SavedTransformer.read(folder)


def test_the_registry_loads_a_model_and_refuses_changed_files(trained: TrainedTransformer, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    training = Training("t", {}, {}, date(2026, 3, 24), 1, {})
    version = registry.register(trained.saved.kind, training, registry.record(training), trained.saved.save, True)
    assert version.name == "transformer-1.20260324"
    assert isinstance(load(version, registry), SavedTransformer)
    weights = tmp_path / "mlruns" / "models" / version.name / "network-0.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    with pytest.raises(InputError, match=r"is not the one registered as transformer-1\.20260324: found sha256"):
        load(version, registry)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    training = Training("t", {}, {}, date(2026, 3, 24), 1, {})
    made = registry.register("oracle-9", training, registry.record(training), lambda to: None, True)
    with pytest.raises(InputError, match="is of the kind oracle-9, expected boosting-1 or transformer-1: a newer"):
        load(made, registry)


def test_a_stacked_model_that_remembers_other_users_cannot_be_saved(
    training_data: TrainingData, trained: TrainedTransformer, counts: Counts1, tmp_path: Path
) -> None:
    vsknn = NextTagBySessions(VsknnSettings()).fit(training_data)
    with pytest.raises(ValueError, match="NextTagRanker cannot be saved as a stacked model: expected that of counts-1"):
        SavedTransformer(replace(trained.saved.model, stacked_models=(vsknn,))).save(tmp_path)
    with pytest.raises(ValueError, match="cannot be saved"):
        stacked_model_as_of(vsknn, counts, counts.end)


def test_the_stacked_counts_keep_the_parameters_beside_which_the_networks_were_trained(
    folder: Path, trained: TrainedTransformer, counts: Counts1
) -> None:
    """Not those of the day that is scored, which may have another half-life."""
    other = replace(counts, fitted=replace(counts.fitted, half_life_days=99.0))
    [fitted, *_] = SavedTransformer.read(folder).model.stacked_models
    of_day = stacked_model_as_of(fitted, other, other.end)
    assert isinstance(of_day, CountsRanker) and isinstance(fitted, CountsRanker)
    [as_trained, *_] = trained.saved.model.stacked_models
    assert isinstance(as_trained, CountsRanker) and of_day.fitted == fitted.fitted == as_trained.fitted
    assert (of_day.popularity, of_day.cutoff) == (other.popularity, other.end)


def test_a_model_of_an_earlier_release_reads_the_counts_of_the_day(folder: Path, counts: Counts1) -> None:
    saved = json.loads((folder / "model.json").read_text())
    del saved["stacked_models"][0]["fitted"]
    (folder / "model.json").write_text(json.dumps(saved))
    [fitted, *_] = SavedTransformer.read(folder).model.stacked_models
    of_day = stacked_model_as_of(fitted, counts, counts.end)
    assert isinstance(of_day, CountsRanker) and of_day.fitted == counts.fitted
