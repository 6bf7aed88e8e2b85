"""Training: repeatable bit for bit, resumed as if never stopped, and of use."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import model.transformer.dataset as questions
import model.transformer.fit as interest_ranker
from model.baselines.simple import OwnCounts
from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import LabeledWindow, label_window
from model.data.pairs import Pairs
from model.data.users import lowest_hash_users_U, stable_hash
from model.interfaces import TrainingData
from model.transformer.config import LossWeights, NetworkConfig, TrainingConfig
from model.transformer.dataset import TrainingSet, batches, dense_windows, plan
from model.transformer.fit import TransformerModel
from model.transformer.loss import loss_of
from model.transformer.network import InterestTransformer
from model.transformer.stacked_features import CrossFittedFeatures, StackedFeatures
from model.transformer.tokens import Vocabulary
from model.transformer.trainer import Trainer
from model.transformer.warm_start import fit_of_affinity, fit_of_paths
from model.transformer.workdir import WorkDir

TINY = NetworkConfig(width=16, heads=2, encoder_blocks=1, decoder_blocks=1, interests=2)
WEEK = 7 * MICROS_PER_DAY
RECIPE = TrainingConfig(epochs=3, tokens_at_once=1024, warm_up_steps=5)


@pytest.fixture(scope="module")
def windows(world: Any) -> list[LabeledWindow]:
    """Three weeks in a row of 120 users, the last of them the newest."""
    history = history_of(world.until(world.last_day))
    history = history.of_users(np.arange(history.users) < 120)
    cutoffs = [end_of_day(world.last_day) - number * WEEK for number in (3, 2, 1)]
    return [label_window(history, cutoff, cutoff + WEEK) for cutoff in cutoffs]


@pytest.fixture(scope="module")
def vocabulary(windows: Sequence[LabeledWindow]) -> Vocabulary:
    return Vocabulary.of(windows[-1].past)


@pytest.fixture(scope="module")
def window(windows: Sequence[LabeledWindow], vocabulary: Vocabulary) -> TrainingSet:
    """The users of the last week, asked at the cuts of the two weeks before it."""
    paths = CrossFittedFeatures.of(
        [OwnCounts(is_tuned=True)], TrainingData(windows[:2], windows[-1].past, windows[-1].cutoff)
    )
    return TrainingSet.of(windows[-1].past, windows[:2], vocabulary, paths, TINY)


def trainer(window: TrainingSet, vocabulary: Vocabulary, recipe: TrainingConfig = RECIPE) -> Trainer:
    torch.manual_seed(recipe.seed)
    known = (len(vocabulary.items), len(vocabulary.tags), len(vocabulary.actions))
    return Trainer(InterestTransformer(TINY, *known, paths=1), [window], recipe)


def weights_of(network: InterestTransformer) -> dict[str, torch.Tensor]:
    return network.state_dict()


class Killed(Exception):
    """Stands for whatever ends a training in the middle."""


def test_a_training_that_was_stopped_goes_on_to_the_same_weights_bit_for_bit(
    window: TrainingSet, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    whole = weights_of(trainer(window, vocabulary).run())
    checkpoint = tmp_path / "training.pt"
    first = trainer(window, vocabulary)

    def stop(progress: Any) -> None:
        if progress.step > first.steps // 2:
            raise Killed

    with pytest.raises(Killed):
        first.run(stop, checkpoint)
    assert checkpoint.exists() and first.step < first.steps
    resumed = weights_of(trainer(window, vocabulary).run(checkpoint=checkpoint))
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())
    other = weights_of(trainer(window, vocabulary, replace(RECIPE, seed=2)).run())
    assert not all(torch.equal(other[name], weight) for name, weight in whole.items())


def test_it_begins_with_the_convex_fit_of_its_paths(window: TrainingSet, vocabulary: Vocabulary) -> None:
    network = trainer(window, vocabulary).network.eval()
    network.start_from(fit_of_paths(window, RECIPE.weights))
    question = window.question(np.arange(20))
    told = network(question.batch, question.stacked_BCTP)
    order_paths = question.stacked_BCTP[..., 0].argsort(-1)
    for strength in (told.log_share_BCT, told.affinity_BCT):
        assert torch.equal(torch.gather(strength, -1, order_paths), strength.sort(-1).values)
    assert network.repeat_explore.weight_P > 0
    network.affinity_scale.start_from(fit_of_affinity(network, window))
    everybody = window.question(np.flatnonzero(window.lengths_U() > 0))
    told = network(everybody.batch, everybody.stacked_BCTP)
    expected = torch.sigmoid(told.affinity_BCT)[everybody.is_asked_BC].sum()
    assert float(expected.detach()) == pytest.approx(float((everybody.touched_BCT > 0).sum()), rel=0.05)


def test_many_cuts_lie_evenly_between_the_first_and_the_last_window(windows: Sequence[LabeledWindow]) -> None:
    past = windows[-1].past
    made = dense_windows(windows[:2], past, cutoffs_per_window=7)
    assert [one.cutoff for one in made] == [windows[0].cutoff + number * MICROS_PER_DAY for number in range(8)]
    assert all(one.end - one.cutoff == WEEK and one.end <= windows[-1].cutoff for one in made)
    assert len(dense_windows(windows[:2], past, cutoffs_per_window=1)) == 2


def test_whoever_is_kept_out_of_a_window_is_kept_out_of_all_that_reach_into_it(
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


def test_a_path_is_taught_by_the_other_half_of_the_users(windows: Sequence[LabeledWindow]) -> None:
    """What one half did in the window alters what is said of the other half alone."""
    counts, asked = [OwnCounts(is_tuned=True)], windows[1]
    is_second_U = stable_hash(asked.past.user_id_U) % 2 == 1
    touched = asked.touched
    is_kept_P = ~is_second_U[touched.user_P]
    lazier = replace(asked, touched=Pairs(touched.key_P[is_kept_P], touched.tags), touches_P=asked.touches_P[is_kept_P])
    lazier = replace(lazier, is_touched_P=lazier.touched.find(asked.pairs)[1])
    told, other = (
        CrossFittedFeatures.of(counts, TrainingData([one], asked.past, asked.cutoff)).predicted_UTP(
            asked.past, asked.cutoff
        )
        for one in (asked, lazier)
    )
    np.testing.assert_array_equal(told[is_second_U], other[is_second_U])
    assert not np.allclose(told[~is_second_U], other[~is_second_U])


def test_training_lowers_the_loss_below_that_of_the_start(window: TrainingSet, vocabulary: Vocabulary) -> None:
    losses: list[float] = []
    trainer(window, vocabulary, replace(RECIPE, epochs=12)).run(lambda progress: losses.append(progress.loss))
    assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5])


def test_answers_are_what_was_touched_in_each_window(
    window: TrainingSet, vocabulary: Vocabulary, windows: Sequence[LabeledWindow]
) -> None:
    users = np.array([5, 2, 90])
    question = window.question(users)
    for cutoff, of_week in enumerate(windows[:2]):
        for row, user in enumerate(users):
            is_user_U = of_week.past.user_id_U == windows[-1].past.user_id_U[user]
            assert bool(question.is_asked_BC[row, cutoff]) == is_user_U.any()
            codes = of_week.touched.tag_P[is_user_U[of_week.touched.user_P]]
            expected = set(of_week.past.tag_T[codes]) & set(vocabulary.tags)
            told = torch.nonzero(question.touched_BCT[row, cutoff]).flatten().tolist()
            assert {vocabulary.tags[tag] for tag in told} == expected
            assert bool(question.has_returned_BC[row, cutoff]) == bool(of_week.has_returned_U[is_user_U].any())


def test_who_is_not_asked_at_a_cut_teaches_nothing_there(window: TrainingSet, vocabulary: Vocabulary) -> None:
    network = trainer(window, vocabulary).network.eval()
    question = window.question(np.arange(6))
    is_asked_BC = question.is_asked_BC.clone()
    is_asked_BC[:3, 0] = False
    some = replace(question, is_asked_BC=is_asked_BC)
    touched_BCT = some.touched_BCT.clone()
    touched_BCT[:3, 0] = 1 - touched_BCT[:3, 0]
    other = replace(some, touched_BCT=touched_BCT)
    losses = [
        float(loss_of(network, network(one.batch, one.stacked_BCTP), one, LossWeights()))
        for one in (question, some, other)
    ]
    assert losses[1] == losses[2] != losses[0]


def test_a_large_catalogue_is_ranked_against_a_sample(window: TrainingSet, vocabulary: Vocabulary) -> None:
    network = trainer(window, vocabulary).network.eval()
    question = window.question(np.arange(40))
    answer = network(question.batch, question.stacked_BCTP)
    whole = float(loss_of(network, answer, question, LossWeights()))
    sampled = LossWeights(most_tags=10, negatives=20)
    torch.manual_seed(1)
    drawn = [float(loss_of(network, answer, question, sampled)) for _ in range(30)]
    assert len(set(drawn)) > 1
    assert np.mean(drawn) == pytest.approx(whole, rel=0.02)


def test_batches_hold_every_user_once_and_no_more_tokens_than_allowed() -> None:
    lengths = np.random.default_rng(3).integers(1, 60, 200)
    for random in (None, np.random.default_rng(1)):
        made = batches(lengths, 128, random)
        assert sorted(np.concatenate(made).tolist()) == list(range(200))
        assert all(len(users) == 1 or len(users) * lengths[users].max() <= 128 for users in made)


def test_a_batch_asks_no_more_than_memory_holds(window: TrainingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "MAX_LABELS", 7 * window.answers)
    assert window.answers == 2 * window.stacked_UCTP.shape[2]
    planned = plan([window], 100_000, np.random.default_rng(1))
    assert {len(user_B) for _, user_B in planned[:-1]} >= {7} and max(len(user_B) for _, user_B in planned) == 7
    monkeypatch.setattr(questions, "MAX_LABELS", 1)
    assert {len(user_B) for _, user_B in plan([window], 100_000, np.random.default_rng(1))} == {1}


def test_a_contestant_that_was_killed_goes_on_where_it_was(windows: Sequence[LabeledWindow], tmp_path: Path) -> None:
    steps: list[int] = []

    def kill(progress: Any) -> None:
        if progress.step > progress.steps // 2:
            raise Killed

    asked = windows[-1]
    model = TransformerModel(networks=2, recipe=RECIPE, paths=(OwnCounts(is_tuned=True),))
    whole = model.fit(TrainingData(windows[:-1], asked.past, asked.cutoff))
    workdir = WorkDir(tmp_path / "scratch")
    with pytest.raises(Killed):
        replace(model, workdir=workdir, watch=kill).fit(TrainingData(windows[:-1], asked.past, asked.cutoff))
    again = replace(model, workdir=workdir, watch=lambda now: steps.append(now.step))
    resumed = again.fit(TrainingData(windows[:-1], asked.past, asked.cutoff))
    first = steps[: steps.index(1)]  # of the first network; the second begins
    assert first and first[0] > 1
    for one, same in zip(whole.networks, resumed.networks, strict=True):
        assert all(torch.equal(same.state_dict()[name], weight) for name, weight in one.state_dict().items())

    steps.clear()
    replace(again, recipe=replace(RECIPE, epochs=1)).fit(TrainingData(windows[:-1], asked.past, asked.cutoff))
    assert steps.count(1) == 2, "another training goes on from nothing"
    workdir.clear()
    assert list(tmp_path.iterdir()) == []


def test_what_paths_say_lies_on_disk_and_is_gone_with_the_training(
    windows: Sequence[LabeledWindow], vocabulary: Vocabulary, window: TrainingSet, tmp_path: Path
) -> None:
    paths = CrossFittedFeatures.of(
        [OwnCounts(is_tuned=True)], TrainingData(windows[:2], windows[-1].past, windows[-1].cutoff)
    )
    on_disk = TrainingSet.of(windows[-1].past, windows[:2], vocabulary, paths, TINY, WorkDir(tmp_path))
    assert isinstance(on_disk.stacked_UCTP, np.memmap)
    np.testing.assert_array_equal(on_disk.stacked_UCTP, window.stacked_UCTP)
    assert on_disk.stacked_UCTP.any() and list(tmp_path.iterdir()) == []


def test_where_many_tags_are_asked_about_fewer_users_teach_a_network(
    windows: Sequence[LabeledWindow], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, learnt_from = windows[-1], []
    train = interest_ranker.train_network

    def seen(windows: Sequence[TrainingSet], *others: Any) -> Any:
        learnt_from.append(windows[0])
        return train(windows, *others)

    monkeypatch.setattr(interest_ranker, "train_network", seen)
    model = TransformerModel(recipe=replace(RECIPE, epochs=1), paths=(OwnCounts(is_tuned=True),))
    model.fit(TrainingData(windows[:-1], asked.past, asked.cutoff))
    monkeypatch.setattr(interest_ranker, "MOST_NUMBERS", 40 * learnt_from[0].stacked_UCTP[0].size)
    model.fit(TrainingData(windows[:-1], asked.past, asked.cutoff))
    everybody, some = learnt_from
    assert everybody.is_asked_UC.shape == (asked.past.users, 2) and some.is_asked_UC.shape == (40, 2)
    is_some_U = lowest_hash_users_U(asked.past.user_id_U, 40)
    np.testing.assert_array_equal(some.is_asked_UC, everybody.is_asked_UC[is_some_U])
    np.testing.assert_array_equal(some.tokens.item_N, everybody.tokens.item_N[is_some_U[everybody.tokens.user_N]])


def test_before_the_referee_it_is_blind_to_company_and_knows_only_its_vocabulary(
    windows: Sequence[LabeledWindow],
) -> None:
    model = TransformerModel(networks=2, recipe=replace(RECIPE, epochs=1), paths=(OwnCounts(is_tuned=True),))
    asked = windows[-1]
    ranker = model.fit(TrainingData(windows[:-1], asked.past, asked.cutoff))
    together_UT = ranker.scores_UT(asked.past)
    assert together_UT.shape == (asked.past.users, len(asked.past.tag_T))
    assert ((together_UT > 0) & (together_UT < 1)).all()
    alone_UT = ranker.scores_UT(asked.past.of_users(np.arange(asked.past.users) == 7))
    np.testing.assert_allclose(alone_UT[0], together_UT[7], atol=1e-4)
    without = TransformerModel(recipe=replace(RECIPE, epochs=1))
    assert not np.allclose(
        without.fit(TrainingData(windows[:-1], asked.past, asked.cutoff)).scores_UT(asked.past), together_UT
    )
    assert model.settings()["paths"] == [{"name": "counts-1", "is_tuned": True}]
    with pytest.raises(ValueError, match="needs one window at least to learn from, found none"):
        model.fit(TrainingData([], asked.past, asked.cutoff))


def test_without_paths_there_is_nothing_to_add(windows: Sequence[LabeledWindow]) -> None:
    assert StackedFeatures((), ()).predicted_UTP(windows[0].past).shape == (
        windows[0].past.users,
        len(windows[0].past.tag_T),
        0,
    )
