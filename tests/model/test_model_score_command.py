"""The command itself, on a real Iceberg table in an SQLite catalog."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table
from typer.testing import CliRunner, Result

import model.scoring as nightly
import model.training.weekly as weekly
from model.__main__ import app
from model.boosting.model import SETTINGS
from model.data.profiles import PROFILES
from model.data.sequences import SEQUENCES
from model.training.challengers import BoostingChallenger
from model.transformer.fit import TAG_SEQUENCE_TRANSFORMER

SequencesOf = Callable[..., pa.Table]
ROOT = Path(__file__).parents[2]


def catalog_properties(folder: Path) -> dict[str, str]:
    return {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlCatalog:
    sqlite = SqlCatalog("throughline", **catalog_properties(tmp_path))
    sqlite.create_namespace("interest")
    monkeypatch.setattr(nightly, "load_catalog", lambda name: sqlite)
    return sqlite


@pytest.fixture
def table(catalog: SqlCatalog, sequences_of: SequencesOf) -> Table:
    """Rows as of three days on main, and one more day on the branch of a night."""
    sequences = make_table(catalog, SEQUENCES)
    sequences.append(sequences_of([("early", "2026-01-28 10:00", "tea", 1), ("both", "2026-01-28 11:00", "tea", 2)]))
    sequences.append(sequences_of([("both", "2026-01-28 11:00", "tea", 2), ("both", "2026-01-30 11:00", "jazz", 3)]))
    head = sequences.current_snapshot()
    assert head is not None
    sequences.manage_snapshots().create_branch(head.snapshot_id, "night_20260131").commit()
    sequences.append(sequences_of([("late", "2026-01-31 23:59:59", "chess", 4)]), branch="night_20260131")
    return sequences


def make_table(catalog: SqlCatalog, schema: pa.Schema, name: str = "sequences") -> Table:
    made = catalog.create_table(f"interest.{name}", schema)
    if "as_of" in schema.names:
        with made.update_spec() as spec:
            spec.add_identity("as_of")
    return made


def score(
    home: Path, first: str, last: str, *more: str, branch: str = "night_20260131", run_id: str = "try-1"
) -> Result:
    options = ["--from", first, "--to", last, "--branch", branch, "--run-id", run_id, *more]
    return CliRunner(env={"THROUGHLINE_HOME": str(home), "TERM": "dumb"}).invoke(app, ["score", *options])


def read(home: Path, day: str, run_id: str = "try-1") -> pa.Table:
    return pq.ParquetFile(home / "exchange" / run_id / "profiles" / f"as_of={day}.parquet").read()


def users(home: Path, day: str) -> list[str]:
    found: list[str] = read(home, day)["user_id"].to_pylist()
    return found


def test_the_night_reads_its_branch_by_the_settings_in_pyiceberg_home(table: Table, tmp_path: Path) -> None:
    properties = "".join(f"    {key}: {value}\n" for key, value in catalog_properties(tmp_path).items())
    (tmp_path / ".pyiceberg.yaml").write_text(f"catalog:\n  throughline:\n{properties}")
    environment = {**os.environ, "PYICEBERG_HOME": str(tmp_path), "THROUGHLINE_HOME": str(tmp_path), "TZ": "Asia/Tokyo"}
    days = ["--from", "2026-01-31", "--to", "2026-01-31", "--all"]
    names = ["--branch", "night_20260131", "--run-id", "try-1"]
    done = subprocess.run(
        [sys.executable, "-m", "model", "score", *days, *names],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert users(tmp_path, "2026-01-31") == ["both", "early", "late"]
    assert read(tmp_path, "2026-01-31").schema.equals(PROFILES)
    manifest = json.loads((tmp_path / "exchange/try-1/manifest.json").read_text())
    assert manifest["model_versions"] == {"2026-01-31": "counts-1"}
    assert (manifest["days"], manifest["rows"]) == (["2026-01-31"], {"2026-01-31": 3})
    table.refresh()
    branch = table.snapshot_by_name("night_20260131")
    assert branch is not None
    assert manifest["input_snapshots"] == {"sequences": branch.snapshot_id}
    assert manifest["parameters"]["2026-01-31"]["half_life_days"] == 28.0  # four horizons: nothing to fit to
    assert manifest["seconds"] > 0


def test_the_rows_hold_the_horizon_that_they_were_scored_for(table: Table, tmp_path: Path) -> None:
    for more, horizon_days in ((), 7), (("--horizon-days", "1"), 1):
        assert score(tmp_path, "2026-01-31", "2026-01-31", "--all", *more).exit_code == 0
        assert read(tmp_path, "2026-01-31")["horizon_days"].to_pylist() == [horizon_days] * 3


def test_a_table_without_the_branch_is_read_at_main(table: Table, tmp_path: Path) -> None:
    assert score(tmp_path, "2026-01-31", "2026-01-31", "--all", branch="night_20990101").exit_code == 0
    assert users(tmp_path, "2026-01-31") == ["both", "early"]


def test_a_range_scores_each_day_by_what_was_known_and_all_users_on_the_last(table: Table, tmp_path: Path) -> None:
    assert score(tmp_path, "2026-01-28", "2026-01-31").exit_code == 0
    assert users(tmp_path, "2026-01-28") == ["both", "early"]
    assert "both" in users(tmp_path, "2026-01-30")
    assert users(tmp_path, "2026-01-31") == ["both", "early", "late"]
    first = {row["user_id"]: row for row in read(tmp_path, "2026-01-28").to_pylist()}
    assert [interest["tag"] for interest in first["both"]["interests"]] == ["tea"]


def test_a_range_gives_the_rows_that_its_days_give_one_by_one(table: Table, tmp_path: Path) -> None:
    score(tmp_path, "2026-01-28", "2026-01-31", run_id="range")
    for day in ("2026-01-28", "2026-01-29", "2026-01-30"):
        score(tmp_path, day, day, run_id="alone")
        assert rows(read(tmp_path, day, "range")) == rows(read(tmp_path, day, "alone"))


@pytest.mark.parametrize(
    ("model_before", "expected"), [("counts-1", ["both", "late"]), ("boosting-1.1", ["both", "early", "late"])]
)
def test_the_first_night_of_another_model_scores_all_users(
    table: Table, catalog: SqlCatalog, tmp_path: Path, model_before: str, expected: list[str]
) -> None:
    """Else most users would have rows of the model before for days. Other nights score a seventh of them."""
    assert score(tmp_path, "2026-01-30", "2026-01-30").exit_code == 0
    day_before, place = read(tmp_path, "2026-01-30"), PROFILES.get_field_index("model_version")
    models = pa.array([model_before] * len(day_before))
    make_table(catalog, PROFILES, "profiles").append(day_before.set_column(place, "model_version", models))
    assert score(tmp_path, "2026-01-31", "2026-01-31").exit_code == 0
    assert users(tmp_path, "2026-01-31") == expected


def rows(profiles: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = profiles.drop_columns(["scored_at"]).to_pylist()
    return rows


def test_what_comes_later_changes_no_earlier_profile(table: Table, tmp_path: Path, sequences_of: SequencesOf) -> None:
    score(tmp_path, "2026-01-30", "2026-01-30", run_id="before")
    table.append(
        sequences_of([("both", "2026-02-01", "noise", 9), ("new", "2026-02-01", "noise", 9)]), branch="night_20260131"
    )
    score(tmp_path, "2026-01-30", "2026-01-30", run_id="after")
    assert rows(read(tmp_path, "2026-01-30", "before")) == rows(read(tmp_path, "2026-01-30", "after"))


def test_a_second_try_replaces_what_the_first_left(table: Table, tmp_path: Path) -> None:
    profiles = tmp_path / "exchange/try-1/profiles"
    profiles.mkdir(parents=True)
    (profiles / "as_of=2026-01-31.parquet").write_text("half a file")
    (profiles / ".as_of=2026-01-31.parquet.unfinished").write_text("half a file")
    assert score(tmp_path, "2026-01-31", "2026-01-31").exit_code == 0
    assert [file.name for file in profiles.iterdir()] == ["as_of=2026-01-31.parquet"]


def test_a_day_without_anybody_is_an_empty_file(table: Table, tmp_path: Path) -> None:
    assert score(tmp_path, "2020-01-01", "2020-01-01").exit_code == 0
    assert len(read(tmp_path, "2020-01-01")) == 0


def test_a_table_never_written_has_no_users_to_score(catalog: SqlCatalog, tmp_path: Path) -> None:
    make_table(catalog, SEQUENCES)
    assert score(tmp_path, "2026-01-31", "2026-01-31", "--all").exit_code == 0
    assert len(read(tmp_path, "2026-01-31")) == 0


def test_no_table_is_the_inputs_fault(catalog: SqlCatalog, tmp_path: Path) -> None:
    result = score(tmp_path, "2026-01-31", "2026-01-31")
    assert result.exit_code == 1
    assert result.stderr.startswith("model: no table interest.sequences in catalog throughline: run `throughline seq")


def test_a_table_that_lacks_a_column_is_the_inputs_fault(catalog: SqlCatalog, tmp_path: Path) -> None:
    make_table(catalog, pa.schema([SEQUENCES.field("user_id"), SEQUENCES.field("as_of")]))
    result = score(tmp_path, "2026-01-31", "2026-01-31")
    assert result.exit_code == 1
    assert "lacks item, tags, weight" in result.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("first", "last", "run_id", "says"),
    [
        ("2026-01-31", "2026-01-30", "try-1", "empty range of days: --from 2026-01-31 lies after --to 2026-01-30"),
        ("yesterday", "2026-01-30", "try-1", "'yesterday' is no day: expected a date such as"),
        ("2026-01-30", "2026-01-30", "../try", "run id '../try': expected letters, digits"),
    ],
)
def test_wrong_usage_is_reported_before_anything_is_read(
    first: str, last: str, run_id: str, says: str, tmp_path: Path
) -> None:
    result = score(tmp_path, first, last, run_id=run_id)
    assert result.exit_code == 2
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_anything_else_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(name: str) -> None:
        raise ConnectionError("no answer from postgresql://me:s3cret@127.0.0.1/catalog")

    monkeypatch.setattr(nightly, "load_catalog", away)
    result = score(tmp_path, str(date(2026, 1, 31)), "2026-01-31")
    assert result.exit_code == 3
    assert result.stderr.startswith("model: ConnectionError: no answer from postgresql://***@127.0.0.1/catalog")
    assert "s3cret" not in result.stderr


def test_unreadable_catalog_settings_may_be_mended_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / ".pyiceberg.yaml").write_text('{"catalog": {}}')  # JSON, which PyIceberg refuses when it is imported
    environment = {**os.environ, "PYICEBERG_HOME": str(tmp_path), "THROUGHLINE_HOME": str(tmp_path)}
    options = ["--from", "2026-01-31", "--to", "2026-01-31", "--branch", "b", "--run-id", "r"]
    done = subprocess.run(
        [sys.executable, "-m", "model", "score", *options], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 3
    assert done.stderr.startswith("model: FlowMappingDisallowed: ")


def rows_of_weeks(shop: Any, weeks: int) -> pa.Table:
    """Return the rows as they were at the end of the last weeks, one of each user and day."""
    rows = pa.concat_tables([shop.until(shop.last_day - timedelta(days=7 * back)) for back in range(weeks, -1, -1)])
    keys = zip(rows["user_id"].to_pylist(), rows["as_of"].to_pylist(), strict=True)
    return rows.take(list({key: place for place, key in enumerate(keys)}.values()))


def test_what_training_promotes_scores_the_nights_after(
    catalog: SqlCatalog, long_shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another machine scores: it shares the folder of models alone."""
    shop = long_shop
    monkeypatch.setenv("THROUGHLINE_MODELS", str(tmp_path / "shared"))
    make_table(catalog, SEQUENCES).append(rows_of_weeks(shop, 8))
    monkeypatch.setattr(weekly, "load_catalog", lambda name: catalog)
    monkeypatch.setattr(
        weekly, "CHALLENGERS", {"boosting": lambda watch: BoostingChallenger(replace(SETTINGS, trees=60))}
    )
    runner = CliRunner(env={"THROUGHLINE_HOME": str(tmp_path), "TERM": "dumb"})
    trained = runner.invoke(
        app, ["train", "--through", str(shop.last_day), "--run-id", "training-1", "--challengers", "boosting"]
    )
    assert trained.exit_code == 0, trained.output
    version = f"boosting-1.{shop.last_day:%Y%m%d}"
    assert trained.stdout.splitlines()[0].startswith(f"{version} promoted: nDCG@10 ")
    items = f"items-1.{shop.last_day:%Y%m%d}"
    assert trained.stdout.splitlines()[-2].startswith(f"Which items? {items} promoted: nDCG@10 ")
    assert trained.stdout.splitlines()[-1] == f"all figures: {tmp_path}/shared/trainings/training-1.html"
    assert (tmp_path / "shared" / "trainings" / "training-1.html").is_file()
    day = str(shop.last_day)
    affinities = {}
    for model, home in (("as-of", tmp_path), ("none", tmp_path), (version, tmp_path / "another-machine")):
        assert score(home, day, day, "--model", model, branch="main", run_id=f"by-{model}").exit_code == 0
        profiles = read(home, day, f"by-{model}")
        assert set(profiles["model_version"].to_pylist()) == {"counts-1" if model == "none" else version}
        affinities[model] = profiles["interests"].to_pylist()
        manifest = json.loads((home / "exchange" / f"by-{model}" / "manifest.json").read_text())
        assert manifest["parameters"][day].get("items") == (None if model == "none" else items)
        scores = [one["score"] for listed in profiles["top_items"].to_pylist() for one in listed]
        assert (max(scores) <= 1) == (model != "none"), "probabilities by items-1, else scores without a unit"
    assert affinities["as-of"] == affinities[version] != affinities["none"]


def test_a_tag_sequence_decoder_is_saved_also_if_it_loses_and_scores_when_it_is_named(
    catalog: SqlCatalog, shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(catalog, SEQUENCES).append(rows_of_weeks(shop, 3))
    monkeypatch.setattr(weekly, "load_catalog", lambda name: catalog)
    quick = replace(TAG_SEQUENCE_TRANSFORMER.training_config, epochs=1)
    # Without the scores of other models it loses.
    alone = replace(TAG_SEQUENCE_TRANSFORMER, stacked_models=(), cutoffs_per_window=1, training_config=quick)
    monkeypatch.setattr(weekly, "DECODERS", {"sequence": alone})
    runner = CliRunner(env={"THROUGHLINE_HOME": str(tmp_path), "TERM": "dumb"})
    day = str(shop.last_day)
    train = ["train", "--through", day, "--run-id", "training-1", "--decoder", "sequence"]
    with_trees = runner.invoke(app, [*train, "--challengers", "boosting,transformer"])
    assert with_trees.exit_code == 2 and "expected the challenger transformer alone" in with_trees.stderr
    trained = runner.invoke(app, train)
    assert trained.exit_code == 0, trained.output
    version = f"transformer-1.{shop.last_day:%Y%m%d}"
    assert trained.stdout.startswith(f"{version} saved and not promoted, for `throughline run --model {version}`")
    for model, expected in ((version, version), ("as-of", "counts-1")):
        assert score(tmp_path, day, day, "--model", model, branch="main", run_id=f"by-{model}").exit_code == 0
        profiles = read(tmp_path, day, f"by-{model}")
        assert set(profiles["model_version"].to_pylist()) == {expected}
        for interests in profiles["interests"].to_pylist():
            affinities = [one["affinity"] for one in interests]
            assert affinities == sorted(affinities, reverse=True) and all(0 <= one <= 1 for one in affinities)
