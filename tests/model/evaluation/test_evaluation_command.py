"""`python -m model evaluate` on a real Iceberg table in an SQLite catalog: files, MLflow run, errors."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from mlflow import MlflowClient
from pyiceberg.catalog.sql import SqlCatalog
from typer.testing import CliRunner, Result

import model.evaluation.command as command
import model.training.weekly as weekly
from model.__main__ import app
from model.boosting.model import SETTINGS
from model.data.arrays import Floats
from model.data.history import History
from model.interfaces import Model, TrainingData
from model.training.challengers import BoostingChallenger
from tests.bench.generated_sequences import SEQUENCES_TABLE, new_catalog


@pytest.fixture(scope="module")
def catalog(shop: Any, tmp_path_factory: pytest.TempPathFactory) -> SqlCatalog:
    """One row for each user and day with new events, as the pipeline writes them."""
    folder = tmp_path_factory.mktemp("catalog")
    made = new_catalog(folder)
    days = [shop.last_day - timedelta(days=back) for back in range(34, -1, -1)]
    made.load_table(SEQUENCES_TABLE).append(
        pa.concat_tables([shop.until(day).filter(pc.field("as_of") == day) for day in days])
    )
    return made


@pytest.fixture(autouse=True)
def _small(catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (command, weekly):
        monkeypatch.setattr(module, "load_catalog", lambda name: catalog)
    monkeypatch.setattr(
        weekly, "CHALLENGERS", {"boosting": lambda watch: BoostingChallenger(replace(SETTINGS, trees=60))}
    )
    monkeypatch.setattr(command, "SEARCH_SPACES", {})
    monkeypatch.setattr(command, "RETURNING", {"counts-1": command.RETURNING["counts-1"]})


def run(home: Path, *arguments: str) -> Result:
    return CliRunner(env={"THROUGHLINE_HOME": str(home), "TERM": "dumb"}).invoke(app, list(arguments))


def evaluated(home: Path, as_of: date, *more: str) -> Result:
    return run(home, "evaluate", "--as-of", str(as_of), "--run-id", "try-1", *more)


def test_page_report_and_mlflow_run_are_written(shop: Any, tmp_path: Path) -> None:
    as_of = shop.last_day - timedelta(days=7)
    done = evaluated(tmp_path, as_of)
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "evaluations").iterdir()
    whole = json.loads((folder / "report.json").read_text())
    assert folder.name == f"{as_of}-{whole['configuration_hash'][:8]}"
    assert [one["name"] for one in whole["models"]] == ["counts-1"]
    assert whole["configuration"]["split"]["test"] == str(as_of)
    assert whole["configuration"]["sequences_snapshot"] > 0
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert done.stdout.splitlines()[-1].endswith(f"; see {folder / 'report.html'}")
    assert "nDCG@10" in done.stdout and done.stdout.count("counts-1") == 4

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("interest-evaluation")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.info.run_name == kept.data.tags["run_id"] == "try-1"
    assert kept.data.tags["best"] == "counts-1" and kept.data.params["horizon_days"] == "7"
    assert kept.data.metrics["counts-1/ndcg_at_10"] == pytest.approx(whole["models"][0]["figures"]["ndcg_at_10"])
    assert {file.path for file in client.list_artifacts(kept.info.run_id)} == {"report.html", "report.json"}

    again = evaluated(tmp_path, as_of)
    assert again.exit_code == 0
    assert len(list((tmp_path / "evaluations").iterdir())) == 1


class Counting(Model):
    """A model with a name that MLflow refuses in the name of a metric."""

    name, predicts_probabilities = "own counts, plain", False

    def settings(self) -> dict[str, Any]:
        return {}

    def fit(self, data: TrainingData) -> Any:
        class Ranker:
            def scores_UT(self, past: History) -> Floats:
                count_UT = np.zeros((past.users, len(past.tag_T)))
                np.add.at(count_UT, (past.user_E[past.event_M], past.tag_M), 1.0)
                return count_UT

        return Ranker()


def test_a_model_may_have_any_name(shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SEARCH_SPACES", {"own counts, plain": [Counting()]})
    done = evaluated(tmp_path, shop.last_day - timedelta(days=7))
    assert done.exit_code == 0, done.output
    assert "own counts, plain" in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_the_champion_of_the_day_takes_part_and_a_younger_one_does_not(shop: Any, tmp_path: Path) -> None:
    through = shop.last_day - timedelta(days=4)
    options = ("--run-id", "training-1", "--challengers", "boosting", "--horizon-days", "2")
    trained = run(tmp_path, "train", "--through", str(through), *options)
    assert trained.stdout.startswith(f"boosting-1.{through:%Y%m%d} promoted: "), trained.output

    def names(as_of: date) -> dict[str, Any]:
        done = evaluated(tmp_path, as_of, "--horizon-days", "2")
        assert done.exit_code == 0, done.output
        folder = next(folder for folder in (tmp_path / "evaluations").iterdir() if folder.name.startswith(str(as_of)))
        whole = json.loads((folder / "report.json").read_text())
        return {one["name"]: one["calibration"] for one in whole["models"]}

    champion = f"champion boosting-1.{through:%Y%m%d}"
    found = names(shop.last_day - timedelta(days=2))
    assert set(found) == {"counts-1", champion} and found[champion] is not None
    just_made = names(through)
    assert just_made[champion] is None  # it had seen the validation window, so nothing was fitted to it there
    assert set(names(through - timedelta(days=1))) == {"counts-1"}


def test_a_window_that_is_not_over_is_refused_with_the_latest_day(shop: Any, tmp_path: Path) -> None:
    done = evaluated(tmp_path, shop.last_day)
    assert done.exit_code == 1
    assert done.stderr.startswith("model: the test window is not over")
    assert f"evaluate as of {shop.last_day - timedelta(days=7)} at the latest" in done.stderr
    assert not (tmp_path / "evaluations").exists() and not (tmp_path / "mlruns").exists()


def test_a_log_too_young_and_a_wrong_day_or_name_are_refused(shop: Any, tmp_path: Path) -> None:
    young = evaluated(tmp_path, shop.last_day - timedelta(days=27))
    assert young.exit_code == 1 and "too little history to evaluate as of" in young.stderr
    assert run(tmp_path, "evaluate", "--as-of", "soon", "--run-id", "r").exit_code == 2
    assert run(tmp_path, "evaluate", "--as-of", "2026-01-01", "--run-id", "a/b").exit_code == 2
    assert evaluated(tmp_path, shop.last_day, "--horizon-days", "0").exit_code == 2
