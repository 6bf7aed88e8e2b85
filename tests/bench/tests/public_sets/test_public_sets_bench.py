"""The benchmark of public sets: what it chooses, what it writes, and the command."""

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
from tests.bench.public_sets.item_contestants import PopularItems, TransitionOfItems
from tests.bench.public_sets.orders import of_users
from tests.bench.public_sets.results import SetResult
from tests.bench.public_sets.table import settings_text, tables, tuned
from tests.bench.public_sets.tag_bench import daily_split, known_of
from tests.bench.public_sets.taobao import read_taobao

TRANSITION = TransitionOfItems(TransitionSettings((Bag(0.5, 2),), 1.0))
# Of the second family the latter knows the way, and the former does not.
FAMILIES = {"popularity": (PopularItems(),), "transition": (PopularItems("transition"), TRANSITION)}


@pytest.fixture
def circle() -> Interactions:
    """Sixty users who each walk on around a circle of 15 items: the item after the last is certain."""
    random = np.random.default_rng(4)
    start_U, length_U = random.integers(0, 15, 60), random.integers(4, 12, 60)
    user_N = np.repeat(np.arange(60), length_U)
    at_N = np.concatenate([np.arange(length) for length in length_U])
    return Interactions(60, 15, user_N, (start_U[user_N] + at_N) % 15, at_N, user_N)


def test_the_validation_chooses_and_the_test_judges(circle: Interactions) -> None:
    told: list[str] = []
    found = bench_items(circle, 50, FAMILIES, told.append)
    popularity, transition = found.methods
    assert found.asked["users"] == 60 and found.asked["items"] == 15
    assert (transition.metrics["hr_at_10"].mean, transition.metrics["ndcg_at_10"].mean) == (1.0, 1.0)
    assert popularity.metrics["ndcg_at_10"].low < popularity.metrics["ndcg_at_10"].high < 0.9
    assert transition.settings == TRANSITION.settings()
    bad, good = (one["validation_ndcg_at_10"] for one in transition.tried)
    assert bad < 0.9 and good == 1.0
    assert [line.split()[3].rstrip(",") for line in told] == ["popularity", "transition"]


def test_nothing_is_fitted_to_what_the_validation_and_the_test_ask_for(circle: Interactions) -> None:
    shown: list[Interactions] = []

    class Watches(PopularItems):
        def fit(self, known: Interactions) -> Any:
            shown.append(known)
            return super().fit(known)

    bench_items(circle, 50, {"popularity": (Watches(),)}, lambda doing: None)
    assert [len(known.user_N) for known in shown] == [len(circle.user_N) - 2 * 60]


def test_the_hash_is_of_what_was_asked_and_not_of_what_was_found(circle: Interactions) -> None:
    def result(families: Any, users: int | None = None) -> dict[str, Any]:
        return SetResult("circle", "Circle", users, [bench_items(circle, 50, families, lambda doing: None)]).as_json()

    one, again = result(FAMILIES), result(FAMILIES)
    assert one["configuration_hash"] == again["configuration_hash"]
    assert json.loads(json.dumps(one)) is not None
    other = {**FAMILIES, "transition": FAMILIES["transition"][:1]}
    assert len({found["configuration_hash"] for found in (one, result(other), result(FAMILIES, 60))}) == 3


def test_the_table_tells_what_was_tuned_and_warns_of_a_trial(circle: Interactions) -> None:
    task = bench_items(circle, 50, FAMILIES, lambda doing: None)
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


def test_a_sample_keeps_the_same_users_and_forgets_items_that_nobody_has() -> None:
    is_kept_U = lowest_hash_users_U(map(str, range(40)), 10)
    assert is_kept_U.sum() == 10 and lowest_hash_users_U(map(str, range(40)), 99).all()
    assert is_kept_U.tolist() == lowest_hash_users_U(map(str, range(39, -1, -1)), 10)[::-1].tolist()
    interactions = Interactions(
        3, 9, np.array([0, 0, 1, 2]), np.array([8, 2, 5, 2]), np.array([0, 1, 0, 0]), np.array([0, 0, 1, 2])
    )
    some = of_users(interactions, np.array([True, False, True]))
    assert (some.users, some.things) == (2, 2)
    assert some.user_N.tolist() == [0, 0, 1] and some.item_N.tolist() == [1, 0, 0]


def test_each_day_knows_what_had_happened_by_its_end(taobao_of: Callable[[str], Path]) -> None:
    lines = "1,7,50,pv,1512086399\n1,7,50,pv,1512086400\n2,7,50,pv,1512172799\n2,7,50,buy,1512172800\n"
    split = daily_split(date(2017, 11, 30), taught=2)
    assert [str(cutoff) for cutoff in split.cutoffs] == ["2017-11-27", "2017-11-28", "2017-11-29", "2017-11-30"]
    assert split.ended_by(split.validation) == split.taught  # whose windows end as the validation's begins
    known = known_of(read_taobao(taobao_of(lines)).history, split)
    assert known[date(2017, 11, 29)].users == 0
    assert known[date(2017, 11, 30)].user_id_U.tolist() == ["1"]
    assert known[date(2017, 11, 30)].event_count_U.tolist() == [1]
    assert known[date(2017, 12, 1)].event_count_U.tolist() == [2, 1]
    assert known[date(2017, 12, 1)].last_event_at_U.tolist() == [1512086400_000000, 1512172799_000000]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def test_the_command_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_REAL_DATA", str(tmp_path))
    unknown = run("netflix")
    assert unknown.exit_code == 2
    assert "no public set 'netflix': expected one of taobao, movielens, beauty" in unknown.stderr
    missing = run("taobao")
    assert missing.exit_code == 1 and f"no file {tmp_path}/taobao/UserBehavior.csv" in missing.stderr
    nowhere = run("taobao", "--out", str(tmp_path / "no" / "out.json"))
    assert nowhere.exit_code == 2 and f"no folder {tmp_path}/no; make it first" in nowhere.stderr


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
    assert found["quick_users"] == users and found["tasks"][0]["asked"]["users"] == users
    ndcg = {one["method"]: one["metrics"]["ndcg_at_10"] for one in found["tasks"][0]["methods"]}
    assert all(0 < one["low"] <= one["mean"] <= one["high"] < 1 for one in ndcg.values())
    better = {"taobao": "counts-1", "movielens": "transition"}[name]
    assert ndcg[better]["mean"] > 2 * ndcg["popularity"]["mean"]
    assert better in done.stdout and "proves nothing" in " ".join(done.stdout.split()) and "done" in done.stderr
