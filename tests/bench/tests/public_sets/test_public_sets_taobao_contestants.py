"""Who takes part on Taobao."""

from model.baselines.grids import GRIDS
from tests.bench.public_sets.taobao_contestants import PATHS, STACKED, TAOBAO_FAMILIES, TRANSFORMERS, TRIAL_FAMILIES


def test_the_transformer_stands_beside_all_baselines() -> None:
    assert set(TAOBAO_FAMILIES) - set(GRIDS) == {"stacked-ranking", "transformer"}
    assert set(TRIAL_FAMILIES) - set(GRIDS) == {"transformer"}
    for families in (TAOBAO_FAMILIES, TRIAL_FAMILIES):
        assert {name: families[name] for name in GRIDS} == dict(GRIDS)
        assert all(one.for_leakage_check().settings()["networks"] == 1 for one in families["transformer"])
    assert len({str(one.settings()) for one in TRANSFORMERS}) == len(TRANSFORMERS)


def test_its_path_reads_methods_by_settings_that_the_baselines_are_tuned_among() -> None:
    assert PATHS == (STACKED,)
    assert all(method in GRIDS[method.name] for method in STACKED.methods)


def test_a_trial_trains_one_network_for_one_epoch() -> None:
    (trial,) = TRIAL_FAMILIES["transformer"]
    assert (trial.settings()["networks"], trial.settings()["recipe"]["epochs"]) == (1, 1)
