"""The models on Taobao."""

from model.baselines.grids import GRIDS
from tests.bench.public_sets.taobao_models import PATHS, STACKED, TAOBAO_GRIDS, TRANSFORMERS, TRIAL_GRIDS


def test_the_grids_are_all_baselines_and_the_transformer() -> None:
    assert set(TAOBAO_GRIDS) - set(GRIDS) == {"stacked-ranking", "transformer"}
    assert set(TRIAL_GRIDS) - set(GRIDS) == {"transformer"}
    for grids in (TAOBAO_GRIDS, TRIAL_GRIDS):
        assert {name: grids[name] for name in GRIDS} == dict(GRIDS)
        assert all(one.for_leakage_check().settings()["networks"] == 1 for one in grids["transformer"])
    assert len({str(one.settings()) for one in TRANSFORMERS}) == len(TRANSFORMERS)


def test_the_stack_uses_settings_from_the_grids_of_the_baselines() -> None:
    assert PATHS == (STACKED,)
    assert all(method in GRIDS[method.name] for method in STACKED.methods)


def test_a_trial_trains_one_network_for_one_epoch() -> None:
    (trial,) = TRIAL_GRIDS["transformer"]
    assert (trial.settings()["networks"], trial.settings()["training"]["epochs"]) == (1, 1)
