"""transformer-1 as a challenger: what it is calibrated on, when it wins, and what it scores then."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from scipy.special import expit
from typer.testing import CliRunner, Result

import model.counts.model as counts_model
import model.scoring as nightly
import model.training.weekly as weekly
import model.transformer.session_vectors as session_export
from model.__main__ import app
from model.boosting.ranker import BoostedRanking, LambdaMart
from model.calibration import IDENTITY
from model.counts.affinity import fit_level
from model.data.cutoffs import training_cutoffs
from model.data.history import History
from model.data.labels import LabeledWindow
from model.data.pairs import Pairs
from model.data.users import stable_hash
from model.interfaces import CurvePoint, ProgressCallback, SavedModel, TrainingData, no_callback
from model.metrics import expected_calibration_error
from model.training.challengers import TrainedTransformer, TransformerChallenger
from model.training.promotion import Promotion, promote
from model.transformer.calibrate import ONE_HELD_OUT_OF, HeldOut, PublishedTags, calibrate, fit_affinity_calibration
from model.transformer.config import TrainingConfig
from model.transformer.fit import TransformerModel
from model.transformer.model import IDENTITY_LINE, UNCALIBRATED
from model.transformer.progress import Progress, no_progress
from model.transformer.publish import SavedTransformer
from model.transformer.stacked_features import fit_stacked_models
from model.transformer.workdir import WorkDir
from tests.bench.generated_sequences import SEQUENCES_TABLE, new_catalog


def with_other_answers(window: LabeledWindow, is_changed_U: np.ndarray) -> LabeledWindow:
    """Give the marked users touches of tag 0 only."""
    is_kept_P = ~is_changed_U[window.touched.user_P]
    key_P = np.union1d(window.touched.key_P[is_kept_P], np.flatnonzero(is_changed_U) * window.touched.tags)
    touched = Pairs(key_P, window.touched.tags)
    once_P = np.ones(len(touched), dtype=np.int64)
    return replace(window, touched=touched, touches_P=once_P, is_touched_P=touched.find(window.pairs)[1])


def with_another_week(past: History, cutoff: int) -> History:
    """Give the held-out users other events since the cutoff."""
    is_held_out_U = stable_hash(past.user_id_U) % ONE_HELD_OUT_OF == 0
    is_changed_E = is_held_out_U[past.user_E] & (past.at_E >= cutoff)
    assert is_changed_E.any()
    tag_M = np.where(is_changed_E[past.event_M], 0, past.tag_M)
    return replace(past, item_E=np.where(is_changed_E, 7, past.item_E), tag_M=tag_M)


def test_calibration_uses_held_out_users(
    challenger: TransformerChallenger, trained: TrainedTransformer, training_data: TrainingData
) -> None:
    newest = training_data.windows[-1]
    is_held_out_U = stable_hash(newest.past.user_id_U) % ONE_HELD_OUT_OF == 0
    assert 15 < is_held_out_U.sum() < 45
    other = replace(
        training_data,
        windows=[*training_data.windows[:-1], with_other_answers(newest, is_held_out_U)],
        past=with_another_week(training_data.past, newest.cutoff),
    )
    again = challenger.train(other, no_callback).saved.model
    for one, same in zip(trained.saved.model.networks, again.networks, strict=True):
        assert all(torch.equal(one.state_dict()[name], weight) for name, weight in same.state_dict().items())
    assert again.calibrations != trained.saved.model.calibrations


def test_the_simplest_calibration_is_kept_unless_beaten() -> None:
    random = np.random.default_rng(4)
    log_odds_N, user_N = random.normal(-1, 1.5, 8000), np.repeat(np.arange(800), 10)

    def fitted(true_N: Any) -> tuple[Any, Mapping[str, float | None]]:
        is_touched_N = random.uniform(size=8000) < true_N
        return fit_affinity_calibration(PublishedTags(log_odds_N, is_touched_N, user_N, user_N % 2 == 1))

    assert fitted(expit(log_odds_N))[0] == (IDENTITY_LINE, IDENTITY)
    straight_N = expit(0.5 * log_odds_N - 1)
    (line, monotone), errors = fitted(straight_N)
    assert line.coefficients["log_odds"] == pytest.approx(0.5, abs=0.1)
    assert line.intercept == pytest.approx(-1, abs=0.1)
    assert monotone == IDENTITY
    assert errors["platt"] is not None and errors["predicted"] is not None and errors["platt"] < errors["predicted"] / 3
    crooked_N = np.where(log_odds_N > 0, 0.9, 0.1)
    (line, monotone), errors = fitted(crooked_N)
    by_line_N = line.probability_N(log_odds_N[:, None])
    error, of_line = (
        expected_calibration_error(predicted_N, crooked_N) for predicted_N in (monotone.apply(by_line_N), by_line_N)
    )
    assert error < 0.7 * of_line
    assert errors["isotonic"] is not None and errors["platt"] is not None and errors["isotonic"] < errors["platt"]
    only_half = PublishedTags(log_odds_N, random.uniform(size=8000) < straight_N, user_N, user_N < 0)
    assert fit_affinity_calibration(only_half) == ((IDENTITY_LINE, IDENTITY), dict.fromkeys(errors))


def test_few_users_change_no_calibration() -> None:
    kept = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        log_odds_N, user_N = random.normal(-1, 1.5, 200), np.repeat(np.arange(20), 10)
        is_touched_N = random.uniform(size=200) < expit(log_odds_N)
        way, _ = fit_affinity_calibration(PublishedTags(log_odds_N, is_touched_N, user_N, user_N % 2 == 1))
        kept += way == (IDENTITY_LINE, IDENTITY)
    assert kept >= 17


def test_an_overconfident_network_is_calibrated(
    challenger: TransformerChallenger, trained: TrainedTransformer, training_data: TrainingData
) -> None:
    *older, newest = training_data.windows
    is_held_out_U = stable_hash(newest.past.user_id_U) % ONE_HELD_OUT_OF == 0
    paths = fit_stacked_models(challenger.model.stacked_models, TrainingData(older, newest.past, newest.cutoff))
    held_out = HeldOut(newest.of_users(~is_held_out_U), newest.of_users(is_held_out_U), paths)
    sure = deepcopy(trained.saved.model.networks)
    for network in sure:
        network.affinity_scale.bias += 6
    calibrations, report = calibrate(replace(trained.saved.model, networks=sure, calibrations=UNCALIBRATED), held_out)
    assert report["ece"]["predicted"] > 0.2
    assert min(report["ece"]["platt"], report["ece"]["isotonic"]) < report["ece"]["predicted"] / 2
    assert calibrations.affinity.intercept < 0
    assert report["return_auc"] == {"networks": None, "counts-1": None}  # 30 users: too few stayed away to tell
    assert report["return_by"] == "counts-1" and calibrations.returning is None


def test_a_refit_keeps_the_calibration(
    challenger: TransformerChallenger, trained: TrainedTransformer, training_data: TrainingData
) -> None:
    steps: list[int] = []
    watched = replace(challenger, model=replace(challenger.model, on_step=lambda now: steps.append(now.step)))
    here = trained.refit(training_data, replace(watched.background_refit(training_data), is_beside=False).outcome())
    assert steps, "what is trained here is watched"
    steps.clear()
    with replace(watched.background_refit(training_data), is_beside=True) as begun:
        refit = trained.refit(training_data, begun.outcome()).model
    assert steps, "what is trained beside is watched as well"
    for one, same in zip(here.model.networks, refit.networks, strict=True):
        assert all(torch.equal(one.state_dict()[name], weight) for name, weight in same.state_dict().items())
    assert refit.calibrations == trained.saved.model.calibrations
    weight, before = (model.networks[0].interest_decoder.query_KD for model in (refit, trained.saved.model))
    assert not torch.equal(weight, before)  # the held-out users are training data now


@dataclass(frozen=True, eq=False)
class Ready:
    """A Challenger that is trained already, and its TrainedChallenger."""

    saved: SavedModel
    kind: str
    steps: int = 0
    curves: tuple[CurvePoint, ...] = ()

    def background_refit(self, data: TrainingData) -> None:
        """Has nothing to do."""

    def train(self, data: TrainingData, progress: ProgressCallback) -> "Ready":
        return self

    def parameters(self) -> Mapping[str, Any]:
        return {}

    def as_json(self) -> Mapping[str, Any]:
        return {}

    def refit(self, data: TrainingData, refitted: SavedModel | None) -> SavedModel:
        return self.saved


def turned(kept: SavedTransformer) -> SavedTransformer:
    """Return the model with its ranking reversed."""
    line = kept.model.calibrations.affinity
    against = replace(line, coefficients={"log_odds": -line.coefficients["log_odds"]})
    return SavedTransformer(replace(kept.model, calibrations=replace(kept.model.calibrations, affinity=against)))


def test_only_the_best_winner_is_refitted(trained: TrainedTransformer, weeks: dict[int, History], world: Any) -> None:
    histories = {world.last_day - timedelta(days=7 * number): history for number, history in weeks.items()}
    cutoffs = training_cutoffs(world.last_day, world.last_day - timedelta(days=27))
    good, bad = Ready(trained.saved, "transformer-1"), Ready(turned(trained.saved), "turned-1")

    def promoted(**named: Ready) -> Promotion:
        return promote(named, cutoffs, histories, [("bad one", bad.saved)], no_callback)

    lost = promoted(bad=bad)
    assert lost.refitted is None and not lost.leader.comparison.is_won and lost.leader.comparison.difference.high < 0
    both = promoted(bad=bad, good=good)
    assert both.leader.kind == "transformer-1"
    assert both.refitted is (good.saved if both.leader.comparison.is_won else None)
    assert {one.name for one in both.results} == {"counts-1", "bad one", "bad", "good"}


def run(home: Path, *arguments: str) -> Result:
    return CliRunner(env={"THROUGHLINE_HOME": str(home), "TERM": "dumb"}).invoke(app, list(arguments))


def test_a_winner_is_promoted_and_scores_the_night(shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boosted trees as its only path see who has bought, which counts cannot.

    counts-1 ranks by decayed counts here, so that a small network leads by enough.
    """
    monkeypatch.setattr(counts_model, "best_fit", lambda *_: fit_level)
    paths = (
        BoostedRanking(
            LambdaMart(trees=50, depth=3, learning_rate=0.1, least_weight_in_leaf=20.0, pair_method="mean", pairs=4)
        ),
    )
    small = TransformerChallenger(
        TransformerModel(networks=1, training_config=TrainingConfig(epochs=1), stacked_models=paths)
    )
    catalog = new_catalog(tmp_path)
    sequences = catalog.load_table(SEQUENCES_TABLE)
    for number in (4, 3, 2, 1, 0):
        day = shop.last_day - timedelta(days=7 * number)
        is_news = (pc.field("as_of") > day - timedelta(days=7)) & (pc.field("user_id") < "user0800")
        sequences.append(shop.until(day).filter(is_news))
    for module in (nightly, weekly, session_export):
        monkeypatch.setattr(module, "load_catalog", lambda name: catalog)
    tries: list[list[int]] = []  # the steps that each took

    def challenger(at: weekly.TrainingContext) -> TransformerChallenger:
        tries.append([])

        def watch(now: Progress) -> None:
            tries[-1].append(now.step)
            if len(tries) == 1 and tries[0].count(1) == 2:
                raise RuntimeError("killed during the refit")

        return replace(small, model=replace(small.model, on_step=watch, workdir=at.workdir, size=at.size))

    weekly_challengers = weekly.CHALLENGERS
    monkeypatch.setattr(weekly, "CHALLENGERS", {"transformer": challenger})
    today, out = str(shop.last_day), tmp_path / "sessions.parquet"

    refused = run(tmp_path, "export-sessions", "--day", today, "--out", str(out))
    assert refused.exit_code == 1
    assert f"no Transformer promoted for a horizon of 7 days may know {today}: found none" in refused.stderr
    wrong = run(tmp_path, "train", "--through", today, "--run-id", "t", "--challengers", "oracle")
    assert wrong.exit_code == 2 and "--challengers 'oracle': expected one or more of transformer" in wrong.stderr

    wrong = run(tmp_path, "train", "--through", today, "--run-id", "t", "--size", "huge")
    assert wrong.exit_code == 2 and "TRANSFORMER_SIZE=huge: expected one of laptop, server, gpu" in wrong.stderr

    server = weekly_challengers["transformer"](weekly.TrainingContext(no_progress, WorkDir(), "server", "interests"))
    assert isinstance(server, TransformerChallenger) and server.model.size == "server"

    killed = run(tmp_path, "train", "--through", today, "--run-id", "t", "--challengers", "transformer")
    assert killed.exit_code == 3 and "model: RuntimeError: killed during" in killed.stderr
    trained = run(tmp_path, "train", "--through", today, "--run-id", "t", "--challengers", "transformer")
    assert tries[0].count(1) == 2 and tries[1].count(1) == 1, "what was done was not done again"
    assert list((tmp_path / "exchange").iterdir()) == []
    version = f"transformer-1.{shop.last_day:%Y%m%d}"
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.splitlines()[0].startswith(f"{version} promoted: nDCG@10 ")

    range_of = ("--from", today, "--to", today, "--branch", "main", "--run-id", "night", "--model", "as-of")
    scored = run(tmp_path, "score", *range_of)
    assert scored.exit_code == 0, scored.output
    profiles = pq.ParquetFile(tmp_path / "exchange" / "night" / "profiles" / f"as_of={today}.parquet").read()
    assert set(profiles["model_version"].to_pylist()) == {version} and len(profiles)
    assert {len(vector) for vector in profiles["embedding"].to_pylist()} == {64}

    exported = run(tmp_path, "export-sessions", "--day", today, "--out", str(out))
    assert exported.exit_code == 0, exported.output
    rows = pq.read_table(out)
    assert rows.column_names == ["user_id", "session_id", "as_of", "model_version", "vector"]
    assert exported.stdout == f"{len(rows)} sessions by {version} in {out}\n"
    known = shop.until(shop.last_day).filter(pc.field("user_id") < "user0800").to_pylist()
    expected = {(row["user_id"], session_id) for row in known for session_id in row["session_id"]}
    assert set(zip(rows["user_id"].to_pylist(), rows["session_id"].to_pylist(), strict=True)) == expected
    assert {len(vector) for vector in rows["vector"].to_pylist()} == {64}
