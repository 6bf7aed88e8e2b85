"""The benchmark of public sets: selection, results, tables, and the command."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from model.baselines.interactions import Interactions
from model.baselines.transition import Bag, TransitionSettings
from model.data.users import lowest_hash_users_U
from model.metrics import mean_of_users
from tests.bench.public_sets.__main__ import app
from tests.bench.public_sets.item_bench import bench_items
from tests.bench.public_sets.item_models import PopularItems, TransitionOfItems
from tests.bench.public_sets.ordered_interactions import of_users
from tests.bench.public_sets.results import SetResult
from tests.bench.public_sets.table import settings_text, tables, tuned
from tests.bench.public_sets.tag_bench import daily_split, known_of
from tests.bench.public_sets.taobao import read_taobao

TRANSITION = TransitionOfItems(TransitionSettings((Bag(0.5, 2),), 1.0))
# In the second grid only the latter setting knows the next item.
GRIDS_OF_CIRCLE = {"popularity": (PopularItems(),), "transition": (PopularItems("transition"), TRANSITION)}


@pytest.fixture
def circle() -> Interactions:
    """Sixty users who walk around a circle of 15 items, so the next item is certain."""
    random = np.random.default_rng(4)
    start_U, length_U = random.integers(0, 15, 60), random.integers(4, 12, 60)
    user_N = np.repeat(np.arange(60), length_U)
    at_N = np.concatenate([np.arange(length) for length in length_U])
    return Interactions(60, 15, user_N, (start_U[user_N] + at_N) % 15, at_N, user_N)


def test_the_validation_selects_and_the_test_evaluates(circle: Interactions) -> None:
    activities: list[str] = []
    found = bench_items(circle, 50, GRIDS_OF_CIRCLE, activities.append)
    popularity, transition = found.methods
    assert found.input["users"] == 60 and found.input["items"] == 15
    assert (transition.metrics["hr_at_10"].mean, transition.metrics["ndcg_at_10"].mean) == (1.0, 1.0)
    assert popularity.metrics["ndcg_at_10"].low < popularity.metrics["ndcg_at_10"].high < 0.9
    assert transition.settings == TRANSITION.settings()
    bad, good = (one["validation_ndcg_at_10"] for one in transition.tried)
    assert bad < 0.9 and good == 1.0
    assert [line.split()[3].rstrip(",") for line in activities] == ["popularity", "transition"]


def test_nothing_is_fitted_to_the_validation_and_test_items(circle: Interactions) -> None:
    shown: list[Interactions] = []

    class Watches(PopularItems):
        def fit(self, known: Interactions) -> Any:
            shown.append(known)
            return super().fit(known)

    bench_items(circle, 50, {"popularity": (Watches(),)}, lambda doing: None)
    assert [len(known.user_N) for known in shown] == [len(circle.user_N) - 2 * 60]


def test_the_hash_covers_the_configuration_and_not_the_results(circle: Interactions) -> None:
    def result(grids: Any, users: int | None = None) -> dict[str, Any]:
        return SetResult("circle", "Circle", users, [bench_items(circle, 50, grids, lambda doing: None)]).as_json()

    one, again = result(GRIDS_OF_CIRCLE), result(GRIDS_OF_CIRCLE)
    assert one["configuration_hash"] == again["configuration_hash"]
    assert json.loads(json.dumps(one)) is not None
    other = {**GRIDS_OF_CIRCLE, "transition": GRIDS_OF_CIRCLE["transition"][:1]}
    assert len({found["configuration_hash"] for found in (one, result(other), result(GRIDS_OF_CIRCLE, 60))}) == 3


def test_the_table_shows_tuned_settings_and_warns_of_a_trial(circle: Interactions) -> None:
    task = bench_items(circle, 50, GRIDS_OF_CIRCLE, lambda doing: None)
    whole, trial = (tables(SetResult("circle", "Circle", users, [task]))[0] for users in (None, 60))
    assert "proves nothing" not in str(whole.title) and "proves nothing" in str(trial.title)
    methods = list(whole.columns[0].cells)
    assert "nothing to tune" in str(methods[0]) and str(methods[1]) == "transition\n[dim]bags 0.5/2, ridge 1"
    assert settings_text({"bags": ({"fading": 0.5, "steps": 2}, {"fading": 1.0, "steps": 3})}) == "bags 0.5/2 and 1/3"
    assert tuned({"a": 1, "b": 2}, [{"a": 1, "b": 2}, {"a": 1, "b": 3}]) == {"b": 2}


def test_the_interval_of_a_mean_is_that_of_resampled_users() -> None:
    value_U = np.random.default_rng(6).normal(0.3, 0.2, 4000)
    found = mean_of_users(value_U)
    assert found.mean == pytest.approx(value_U.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * value_U.std() / np.sqrt(4000), rel=0.1)


def test_a_sample_keeps_the_same_users_and_drops_items_without_users() -> None:
    is_selected_U = lowest_hash_users_U(map(str, range(40)), 10)
    assert is_selected_U.sum() == 10 and lowest_hash_users_U(map(str, range(40)), 99).all()
    assert is_selected_U.tolist() == lowest_hash_users_U(map(str, range(39, -1, -1)), 10)[::-1].tolist()
    interactions = Interactions(
        3, 9, np.array([0, 0, 1, 2]), np.array([8, 2, 5, 2]), np.array([0, 1, 0, 0]), np.array([0, 0, 1, 2])
    )
    some = of_users(interactions, np.array([True, False, True]))
    assert (some.users, some.items) == (2, 2)
    assert some.user_N.tolist() == [0, 0, 1] and some.item_N.tolist() == [1, 0, 0]


def test_each_day_knows_the_events_before_its_end(taobao_of: Callable[[str], Path]) -> None:
    lines = "1,7,50,pv,1512086399\n1,7,50,pv,1512086400\n2,7,50,pv,1512172799\n2,7,50,buy,1512172800\n"
    split = daily_split(date(2017, 11, 30), train_days=2)
    assert [str(cutoff) for cutoff in split.all] == ["2017-11-27", "2017-11-28", "2017-11-29", "2017-11-30"]
    assert split.ended_by(split.validation) == split.train  # whose windows end as the validation's begins
    known = known_of(read_taobao(taobao_of(lines)).history, split)
    assert known[date(2017, 11, 29)].users == 0
    assert known[date(2017, 11, 30)].user_id_U.tolist() == ["1"]
    assert known[date(2017, 11, 30)].event_count_U.tolist() == [1]
    assert known[date(2017, 12, 1)].event_count_U.tolist() == [2, 1]
    assert known[date(2017, 12, 1)].last_event_at_U.tolist() == [1512086400_000000, 1512172799_000000]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def test_the_command_prints_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_REAL_DATA", str(tmp_path))
    unknown = run("netflix")
    assert unknown.exit_code == 2
    assert "no public set 'netflix': expected one of taobao, movielens, beauty" in unknown.stderr
    missing = run("taobao")
    assert missing.exit_code == 1 and f"no file {tmp_path}/taobao/UserBehavior.csv" in missing.stderr
    nowhere = run("taobao", "--out", str(tmp_path / "no" / "out.json"))
    assert nowhere.exit_code == 2 and f"no folder {tmp_path}/no; create it first" in nowhere.stderr


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(("name", "users"), [("taobao", 200), ("movielens", 300)])
def test_a_quick_bench_of_the_real_sets(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, users: int
) -> None:
    monkeypatch.setenv("THROUGHLINE_REAL_DATA", str(real_data))
    done = run(name, "--quick", "--out", str(tmp_path / "out.json"))
    assert done.exit_code == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["quick_users"] == users and found["tasks"][0]["input"]["users"] == users
    ndcg = {one["method"]: one["metrics"]["ndcg_at_10"] for one in found["tasks"][0]["methods"]}
    assert all(0 < one["low"] <= one["mean"] <= one["high"] < 1 for one in ndcg.values())
    better = {"taobao": "counts-1", "movielens": "transition"}[name]
    assert ndcg[better]["mean"] > 2 * ndcg["popularity"]["mean"]
    assert better in done.stdout and "proves nothing" in " ".join(done.stdout.split()) and "done" in done.stderr
