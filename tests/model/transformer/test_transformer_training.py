"""Training sets, the training of a network, and TransformerModel.fit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import model.transformer.dataset as dataset_module
import model.transformer.fit as fit_module
from model.baselines.simple import OwnCounts
from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import LabeledWindow, label_window
from model.data.pairs import Pairs
from model.data.users import lowest_hash_users_U, stable_hash
from model.interfaces import TrainingData
from model.transformer.config import LossWeights, NetworkConfig, TrainingConfig
from model.transformer.dataset import TrainingSet, batch_by_length, dense_windows, plan_epoch
from model.transformer.fit import TransformerModel
from model.transformer.loss import total_loss
from model.transformer.network import InterestTransformer
from model.transformer.stacked_features import CrossFittedFeatures, StackedFeatures
from model.transformer.tokens import Vocabulary
from model.transformer.trainer import Trainer
from model.transformer.warm_start import fit_affinity_scale, fit_feature_weights
from model.transformer.workdir import WorkDir
from throughline.stores import path_of

TINY = NetworkConfig(width=16, heads=2, encoder_blocks=1, decoder_blocks=1, interests=2)
WEEK = 7 * MICROS_PER_DAY
CONFIG = TrainingConfig(epochs=3, tokens_per_batch=1024, warmup_steps=5)


@pytest.fixture(scope="module")
def windows(world: Any) -> list[LabeledWindow]:
    """Return three consecutive weeks of 120 users, oldest first."""
    history = history_of(world.until(world.last_day))
    history = history.of_users(np.arange(history.users) < 120)
    cutoffs = [end_of_day(world.last_day) - number * WEEK for number in (3, 2, 1)]
    return [label_window(history, cutoff, cutoff + WEEK) for cutoff in cutoffs]


@pytest.fixture(scope="module")
def vocabulary(windows: Sequence[LabeledWindow]) -> Vocabulary:
    return Vocabulary.of(windows[-1].past)


@pytest.fixture(scope="module")
def training_set(windows: Sequence[LabeledWindow], vocabulary: Vocabulary) -> TrainingSet:
    """Return the users of the last week, with the cutoffs of the two weeks before it."""
    features = CrossFittedFeatures.of(
        [OwnCounts(is_tuned=True)], TrainingData(windows[:2], windows[-1].past, windows[-1].cutoff)
    )
    return TrainingSet.of(windows[-1].past, windows[:2], vocabulary, features, TINY)


def trainer(training_set: TrainingSet, vocabulary: Vocabulary, config: TrainingConfig = CONFIG) -> Trainer:
    torch.manual_seed(config.seed)
    known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    return Trainer(InterestTransformer(TINY, *known, features=1), [training_set], config)


def weights_of(network: InterestTransformer) -> dict[str, torch.Tensor]:
    return network.state_dict()


class Killed(Exception):
    """Raised to end a training before its last step."""


def test_a_stopped_training_resumes_to_the_same_weights_bit_for_bit(
    training_set: TrainingSet, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    whole = weights_of(trainer(training_set, vocabulary).run())
    checkpoint = tmp_path / "training.pt"
    first = trainer(training_set, vocabulary)

    def stop(progress: Any) -> None:
        if progress.step > first.steps // 2:
            raise Killed

    with pytest.raises(Killed):
        first.run(stop, checkpoint)
    assert checkpoint.exists() and first.step < first.steps
    resumed = weights_of(trainer(training_set, vocabulary).run(checkpoint=checkpoint))
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())
    other = weights_of(trainer(training_set, vocabulary, replace(CONFIG, seed=2)).run())
    assert not all(torch.equal(other[name], weight) for name, weight in whole.items())


def test_a_network_starts_from_the_fit_of_its_stacked_features(
    training_set: TrainingSet, vocabulary: Vocabulary
) -> None:
    network = trainer(training_set, vocabulary).network.eval()
    network.initialize_mixture(fit_feature_weights(training_set, CONFIG.weights))
    batch = training_set.batch(np.arange(20))
    output = network(batch.tokens, batch.stacked_BCTP)
    order_BCT = batch.stacked_BCTP[..., 0].argsort(-1)
    for score_BCT in (output.log_share_BCT, output.affinity_BCT):
        assert torch.equal(torch.gather(score_BCT, -1, order_BCT), score_BCT.sort(-1).values)
    assert network.mixture_head.weight_P > 0
    network.affinity_scale.initialize(fit_affinity_scale(network, training_set))
    all_users = training_set.batch(np.flatnonzero(training_set.lengths_U() > 0))
    output = network(all_users.tokens, all_users.stacked_BCTP)
    expected = torch.sigmoid(output.affinity_BCT)[all_users.has_labels_BC].sum()
    assert float(expected.detach()) == pytest.approx(float((all_users.touches_BCT > 0).sum()), rel=0.05)


def test_dense_cutoffs_are_evenly_spaced_between_the_first_and_the_last_window(
    windows: Sequence[LabeledWindow],
) -> None:
    past = windows[-1].past
    made = dense_windows(windows[:2], past, cutoffs_per_window=7)
    assert [one.cutoff for one in made] == [windows[0].cutoff + number * MICROS_PER_DAY for number in range(8)]
    assert all(one.end - one.cutoff == WEEK and one.end <= windows[-1].cutoff for one in made)
    assert len(dense_windows(windows[:2], past, cutoffs_per_window=1)) == 2
    first = windows[0].cutoff
    daily = [label_window(past, at, at + MICROS_PER_DAY) for at in (first, first + MICROS_PER_DAY)]
    assert [one.cutoff for one in dense_windows(daily, past, cutoffs_per_window=7)] == [one.cutoff for one in daily]


def test_a_user_held_out_of_a_window_is_held_out_of_all_windows_that_overlap_it(
    windows: Sequence[LabeledWindow],
) -> None:
    older, newer = windows[:2]
    is_kept_U = np.arange(newer.past.users) % 5 > 0
    left_out = set(newer.past.user_id_U[~is_kept_U]) & set(older.past.user_id_U)
    assert left_out
    first, *others = dense_windows([older, newer.of_users(is_kept_U)], windows[-1].past, cutoffs_per_window=7)
    assert left_out <= set(first.past.user_id_U)
    assert not any(left_out & set(one.past.user_id_U) for one in others)
    whole = dense_windows([older, newer], windows[-1].past, cutoffs_per_window=7)[3]
    np.testing.assert_array_equal(
        others[2].touched_tags_U,
        whole.touched_tags_U[~np.isin(whole.past.user_id_U, [*left_out, *newer.past.user_id_U[~is_kept_U]])],
    )


def test_a_stacked_model_is_fitted_to_the_other_half_of_the_users(windows: Sequence[LabeledWindow]) -> None:
    """The labels of one half change the features of the other half only."""
    counts, window = [OwnCounts(is_tuned=True)], windows[1]
    is_second_U = stable_hash(window.past.user_id_U) % 2 == 1
    touched = window.touched
    is_kept_P = ~is_second_U[touched.user_P]
    kept = Pairs(touched.key_P[is_kept_P], touched.tags)
    fewer = replace(window, touched=kept, touches_P=window.touches_P[is_kept_P])
    fewer = replace(fewer, is_touched_P=kept.find(window.pairs)[1])
    predicted_UTP, other_UTP = (
        CrossFittedFeatures.of(counts, TrainingData([one], window.past, window.cutoff)).predicted_UTP(
            window.past, window.cutoff
        )
        for one in (window, fewer)
    )
    np.testing.assert_array_equal(predicted_UTP[is_second_U], other_UTP[is_second_U])
    assert not np.allclose(predicted_UTP[~is_second_U], other_UTP[~is_second_U])


def test_training_lowers_the_loss(training_set: TrainingSet, vocabulary: Vocabulary) -> None:
    losses: list[float] = []
    trainer(training_set, vocabulary, replace(CONFIG, epochs=12)).run(lambda progress: losses.append(progress.loss))
    assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5])


def test_labels_are_the_tags_touched_in_each_window(
    training_set: TrainingSet, vocabulary: Vocabulary, windows: Sequence[LabeledWindow]
) -> None:
    users = np.array([5, 2, 90])
    batch = training_set.batch(users)
    for cutoff, of_week in enumerate(windows[:2]):
        for row, user in enumerate(users):
            is_user_U = of_week.past.user_id_U == windows[-1].past.user_id_U[user]
            assert bool(batch.has_labels_BC[row, cutoff]) == is_user_U.any()
            codes = of_week.touched.tag_P[is_user_U[of_week.touched.user_P]]
            expected = set(of_week.past.tag_T[codes]) & set(vocabulary.tags)
            touched = torch.nonzero(batch.touches_BCT[row, cutoff]).flatten().tolist()
            assert {vocabulary.tags[tag] for tag in touched} == expected
            assert bool(batch.has_returned_BC[row, cutoff]) == bool(of_week.has_returned_U[is_user_U].any())


def test_a_cutoff_without_labels_does_not_change_the_loss(training_set: TrainingSet, vocabulary: Vocabulary) -> None:
    network = trainer(training_set, vocabulary).network.eval()
    batch = training_set.batch(np.arange(6))
    has_labels_BC = batch.has_labels_BC.clone()
    has_labels_BC[:3, 0] = False
    some = replace(batch, has_labels_BC=has_labels_BC)
    touches_BCT = some.touches_BCT.clone()
    touches_BCT[:3, 0] = 1 - touches_BCT[:3, 0]
    other = replace(some, touches_BCT=touches_BCT)
    losses = [
        float(total_loss(network, network(one.tokens, one.stacked_BCTP), one, LossWeights()))
        for one in (batch, some, other)
    ]
    assert losses[1] == losses[2] != losses[0]


def test_many_tags_are_ranked_against_a_sample(training_set: TrainingSet, vocabulary: Vocabulary) -> None:
    network = trainer(training_set, vocabulary).network.eval()
    batch = training_set.batch(np.arange(40))
    output = network(batch.tokens, batch.stacked_BCTP)
    whole = float(total_loss(network, output, batch, LossWeights()))
    sampled = LossWeights(max_softmax_tags=10, negatives=20)
    torch.manual_seed(1)
    losses = [float(total_loss(network, output, batch, sampled)) for _ in range(30)]
    assert len(set(losses)) > 1
    assert np.mean(losses) == pytest.approx(whole, rel=0.02)


def test_batches_hold_every_user_once_and_no_more_tokens_than_allowed() -> None:
    lengths = np.random.default_rng(3).integers(1, 60, 200)
    for random in (None, np.random.default_rng(1)):
        made = batch_by_length(lengths, 128, random)
        assert sorted(np.concatenate(made).tolist()) == list(range(200))
        assert all(len(users) == 1 or len(users) * lengths[users].max() <= 128 for users in made)


def test_a_batch_has_at_most_max_labels(training_set: TrainingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "MAX_LABELS", 7 * training_set.labels_per_user)
    assert training_set.labels_per_user == 2 * training_set.stacked_UCTP.shape[2]
    planned = plan_epoch([training_set], 100_000, np.random.default_rng(1))
    assert {len(user_B) for _, user_B in planned[:-1]} >= {7} and max(len(user_B) for _, user_B in planned) == 7
    monkeypatch.setattr(dataset_module, "MAX_LABELS", 1)
    assert {len(user_B) for _, user_B in plan_epoch([training_set], 100_000, np.random.default_rng(1))} == {1}


def test_a_killed_fit_resumes_from_its_workdir(windows: Sequence[LabeledWindow], tmp_path: Path) -> None:
    steps: list[int] = []

    def kill(progress: Any) -> None:
        if progress.step > progress.steps // 2:
            raise Killed

    newest = windows[-1]
    model = TransformerModel(networks=2, training_config=CONFIG, stacked_models=(OwnCounts(is_tuned=True),))
    whole = model.fit(TrainingData(windows[:-1], newest.past, newest.cutoff))
    workdir = WorkDir(tmp_path / "workdir")
    with pytest.raises(Killed):
        replace(model, workdir=workdir, on_step=kill).fit(TrainingData(windows[:-1], newest.past, newest.cutoff))
    again = replace(model, workdir=workdir, on_step=lambda now: steps.append(now.step))
    resumed = again.fit(TrainingData(windows[:-1], newest.past, newest.cutoff))
    first = steps[: steps.index(1)]  # of the first network; step 1 is of the second
    assert first and first[0] > 1
    for one, same in zip(whole.networks, resumed.networks, strict=True):
        assert all(torch.equal(same.state_dict()[name], weight) for name, weight in one.state_dict().items())

    steps.clear()
    replace(again, training_config=replace(CONFIG, epochs=1)).fit(
        TrainingData(windows[:-1], newest.past, newest.cutoff)
    )
    assert steps.count(1) == 2, "a training with other settings starts from step 1"
    workdir.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_fit_killed_on_one_machine_resumes_on_another(
    windows: Sequence[LabeledWindow], tmp_path: Path, store: str
) -> None:
    """The second machine has a checkpoint of its own from an earlier try, which is older than that in the store."""
    steps: list[int] = []

    def killed_after(share: float) -> Callable[[Any], None]:
        def on_step(now: Any) -> None:
            if now.step > now.steps * share:
                raise Killed

        return on_step

    newest = windows[-1]
    data = TrainingData(windows[:-1], newest.past, newest.cutoff)
    model = TransformerModel(networks=1, training_config=CONFIG, stacked_models=(OwnCounts(is_tuned=True),))
    one, two = (WorkDir(tmp_path / name, path_of(store) / "training") for name in ("one", "two"))
    for workdir, share in ((two, 0.4), (one, 0.8)):
        with pytest.raises(Killed):
            replace(model, workdir=workdir, on_step=killed_after(share)).fit(data)
    resumed = replace(model, workdir=two, on_step=lambda now: steps.append(now.step)).fit(data)
    assert steps[0] > 0.6 * steps[-1]
    whole = model.fit(data).networks[0].state_dict()
    assert all(torch.equal(weight, whole[name]) for name, weight in resumed.networks[0].state_dict().items())
    two.clear()
    assert [file for file in path_of(store).rglob("*") if file.is_file()] == []


def test_stacked_features_are_on_disk_in_a_file_without_a_name(
    windows: Sequence[LabeledWindow], vocabulary: Vocabulary, training_set: TrainingSet, tmp_path: Path
) -> None:
    features = CrossFittedFeatures.of(
        [OwnCounts(is_tuned=True)], TrainingData(windows[:2], windows[-1].past, windows[-1].cutoff)
    )
    on_disk = TrainingSet.of(windows[-1].past, windows[:2], vocabulary, features, TINY, WorkDir(tmp_path))
    assert isinstance(on_disk.stacked_UCTP, np.memmap)
    np.testing.assert_array_equal(on_disk.stacked_UCTP, training_set.stacked_UCTP)
    assert on_disk.stacked_UCTP.any() and list(tmp_path.iterdir()) == []


def test_with_too_many_features_the_network_is_trained_on_fewer_users(
    windows: Sequence[LabeledWindow], monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, sets = windows[-1], []
    train = fit_module.train_network

    def recorded(given: Sequence[TrainingSet], *others: Any) -> Any:
        sets.append(given[0])
        return train(given, *others)

    monkeypatch.setattr(fit_module, "train_network", recorded)
    model = TransformerModel(training_config=replace(CONFIG, epochs=1), stacked_models=(OwnCounts(is_tuned=True),))
    model.fit(TrainingData(windows[:-1], newest.past, newest.cutoff))
    monkeypatch.setattr(fit_module, "MAX_FEATURES", 40 * sets[0].stacked_UCTP[0].size)
    model.fit(TrainingData(windows[:-1], newest.past, newest.cutoff))
    whole, some = sets
    assert whole.has_labels_UC.shape == (newest.past.users, 2) and some.has_labels_UC.shape == (40, 2)
    is_some_U = lowest_hash_users_U(newest.past.user_id_U, 40)
    np.testing.assert_array_equal(some.has_labels_UC, whole.has_labels_UC[is_some_U])
    np.testing.assert_array_equal(some.tokens.item_N, whole.tokens.item_N[is_some_U[whole.tokens.user_N]])


def test_scores_of_a_user_do_not_depend_on_other_users(
    windows: Sequence[LabeledWindow],
) -> None:
    model = TransformerModel(
        networks=2, training_config=replace(CONFIG, epochs=1), stacked_models=(OwnCounts(is_tuned=True),)
    )
    newest = windows[-1]
    ranker = model.fit(TrainingData(windows[:-1], newest.past, newest.cutoff))
    together_UT = ranker.scores_UT(newest.past)
    assert together_UT.shape == (newest.past.users, len(newest.past.tag_T))
    assert ((together_UT > 0) & (together_UT < 1)).all()
    alone_UT = ranker.scores_UT(newest.past.of_users(np.arange(newest.past.users) == 7))
    np.testing.assert_allclose(alone_UT[0], together_UT[7], atol=1e-4)
    without = TransformerModel(training_config=replace(CONFIG, epochs=1))
    assert not np.allclose(
        without.fit(TrainingData(windows[:-1], newest.past, newest.cutoff)).scores_UT(newest.past), together_UT
    )
    assert model.settings()["stacked_models"] == [{"name": "counts-1", "is_tuned": True}]
    with pytest.raises(ValueError, match="needs at least one window to train on, found none"):
        model.fit(TrainingData([], newest.past, newest.cutoff))


def test_without_stacked_models_there_are_no_features(windows: Sequence[LabeledWindow]) -> None:
    assert StackedFeatures((), ()).predicted_UTP(windows[0].past).shape == (
        windows[0].past.users,
        len(windows[0].past.tag_T),
        0,
    )
