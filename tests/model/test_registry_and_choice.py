"""The registry keeps what was trained; a day is scored by the newest promoted version that has seen no later day."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from model.errors import InputError
from model.interfaces import CurvePoint
from model.model_selection import days_of_new_models, select_version
from model.registry import Registry, Training, Version, newest_promoted, unused_name

JANUARY_11, JANUARY_18, JANUARY_25 = date(2026, 1, 11), date(2026, 1, 18), date(2026, 1, 25)


def training(through: date) -> Training:
    return Training(f"training_{through}", {"leaves": 7}, {"ndcg_at_10": 0.5}, through, 42, {"won": True})


def write(folder: Path) -> None:
    (folder / "model.json").write_text("{}")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Two promoted versions, and between them one that won but was not promoted."""
    made = Registry(tmp_path_factory.mktemp("home"))
    for through, is_promoted in ((JANUARY_11, True), (JANUARY_18, False), (JANUARY_25, True)):
        tracked_as = made.record(training(through))
        made.register("boosting-1", training(through), tracked_as, write, is_promoted)
    return made


def test_where_nothing_was_trained_there_is_no_store_and_none_is_made(tmp_path: Path) -> None:
    assert Registry(tmp_path).versions() == []
    assert list(tmp_path.iterdir()) == []


def test_versions_are_named_for_the_last_day_that_they_know(registry: Registry) -> None:
    versions = registry.versions()
    assert [version.name for version in versions] == [
        "boosting-1.20260111",
        "boosting-1.20260118",
        "boosting-1.20260125",
    ]
    assert [version.is_promoted for version in versions] == [True, False, True]
    assert unused_name("boosting-1", JANUARY_25, versions) == "boosting-1.20260125.2"
    assert all((registry.folder_of(version) / "model.json").is_file() for version in versions)


def test_the_alias_champion_is_the_newest_promoted_one(registry: Registry) -> None:
    from model.mlflow_client import client_of

    client = client_of(registry.address)
    champion = client.get_model_version_by_alias("interest-profiles", "champion")
    assert champion.tags["version"] == "boosting-1.20260125"
    run = client.get_run(champion.run_id)
    assert run.data.metrics["ndcg_at_10"] == 0.5 and run.data.tags["sequences_snapshot"] == "42"


def test_curves_are_kept_with_a_training(tmp_path: Path) -> None:
    from model.mlflow_client import client_of

    registry = Registry(tmp_path)
    loss = [CurvePoint(step, 5.0 / step, 0.001) for step in range(1, 701)]
    tracked_as = registry.record(replace(training(JANUARY_11), curves=loss))
    client = client_of(registry.address)
    history = sorted(client.get_metric_history(tracked_as, "curve/loss"), key=lambda metric: metric.step)
    assert [(metric.step, metric.value) for metric in history] == [(point.step, point.loss) for point in loss]
    assert {metric.value for metric in client.get_metric_history(tracked_as, "curve/learning_rate")} == {0.001}


@pytest.mark.parametrize(
    ("choice", "day", "expected"),
    [
        ("as-of", date(2026, 1, 10), None),
        ("as-of", JANUARY_11, "boosting-1.20260111"),
        ("as-of", date(2026, 1, 24), "boosting-1.20260111"),  # that of the 18th was not promoted
        ("as-of", JANUARY_25, "boosting-1.20260125"),
        ("none", JANUARY_25, None),
        ("boosting-1.20260118", JANUARY_18, "boosting-1.20260118"),
        ("boosting-1.20260111", date(2026, 3, 1), "boosting-1.20260111"),
    ],
)
def test_which_version_scores_a_day(registry: Registry, choice: str, day: date, expected: str | None) -> None:
    version = select_version(choice, [day], registry)(day)
    assert (version.name if version else None) == expected


def test_each_day_of_a_range_has_its_own(registry: Registry) -> None:
    of_day = select_version("as-of", [date(2026, 1, 10), JANUARY_11, JANUARY_25], registry)
    names = [
        (version.name if (version := of_day(day)) else None) for day in (date(2026, 1, 10), JANUARY_11, JANUARY_25)
    ]
    assert names == [None, "boosting-1.20260111", "boosting-1.20260125"]


def test_a_pinned_version_that_has_seen_the_day_after_is_refused(registry: Registry) -> None:
    with pytest.raises(InputError, match="trained through 2026-01-25, after 2026-01-24, a day to score: it has seen"):
        select_version("boosting-1.20260125", [date(2026, 1, 24), JANUARY_25], registry)


def test_an_unknown_version_is_refused_with_those_that_there_are(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no model 'boosting-2\.1'.*known: boosting-1\.20260111, boosting-1\.20260118"
    ):
        select_version("boosting-2.1", [JANUARY_25], registry)
    with pytest.raises(InputError, match="known: none yet"):
        select_version("boosting-2.1", [JANUARY_25], Registry(tmp_path))


def test_a_version_of_another_horizon_scores_no_day(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for through, horizon_days in ((JANUARY_11, 1), (JANUARY_18, 7)):
        made = replace(training(through), horizon_days=horizon_days)
        registry.register("boosting-1", made, registry.record(made), write, True)

    def chosen(horizon_days: int) -> str | None:
        version = select_version("as-of", [JANUARY_25], registry, horizon_days)(JANUARY_25)
        return version.name if version else None

    assert (chosen(1), chosen(7), chosen(28)) == ("boosting-1.20260111", "boosting-1.20260118", None)
    with pytest.raises(
        InputError, match=r"boosting-1\.20260111 predicts 1 day, and the horizon of this home is 7 days"
    ):
        select_version("boosting-1.20260111", [JANUARY_25], registry, 7)


def test_a_version_of_an_earlier_release_has_a_horizon_of_a_week(tmp_path: Path) -> None:
    from model.mlflow_client import client_of

    registry = Registry(tmp_path)
    made = registry.register("boosting-1", training(JANUARY_11), registry.record(training(JANUARY_11)), write, True)
    client_of(registry.address).delete_model_version_tag("interest-profiles", str(made.number), "horizon_days")
    assert [version.horizon_days for version in registry.versions()] == [7]


def test_a_folder_that_was_changed_is_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    made = registry.register("boosting-1", training(JANUARY_11), registry.record(training(JANUARY_11)), write, True)
    (tmp_path / "mlruns" / "models" / made.name / "model.json").write_text("[]")
    with pytest.raises(InputError, match=r"is not the one registered as boosting-1\.20260111: found sha256"):
        registry.folder_of(made)


def test_a_training_that_died_while_writing_leaves_no_version(tmp_path: Path) -> None:
    registry = Registry(tmp_path)

    def die(folder: Path) -> None:
        write(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.register("boosting-1", training(JANUARY_11), registry.record(training(JANUARY_11)), die, True)
    assert registry.versions() == []
    made = registry.register("boosting-1", training(JANUARY_11), registry.record(training(JANUARY_11)), write, True)
    assert [version.name for version in registry.versions()] == [made.name] == ["boosting-1.20260111"]


def test_the_later_of_two_versions_of_a_day_counts() -> None:
    versions = [Version("a.1", "a", JANUARY_11, True, "", 1), Version("a.1.2", "a", JANUARY_11, True, "", 2)]
    newest = newest_promoted(versions, JANUARY_18)
    assert newest is not None and newest.name == "a.1.2"


@pytest.mark.parametrize(
    ("before", "first", "expected"),
    [
        (["counts-1"], "2026-01-09", ["2026-01-11", "2026-01-25"]),
        (["counts-1"], "2026-01-12", ["2026-01-12", "2026-01-25"]),  # promoted after the nights of both days before
        (["boosting-1.20260111"], "2026-01-12", ["2026-01-25"]),
        (["boosting-1.20260111", "counts-1"], "2026-01-12", ["2026-01-25"]),
        ([], "2026-01-12", ["2026-01-25"]),  # the first night of a home
    ],
)
def test_a_day_has_a_new_model_if_another_scored_the_day_before(
    before: list[str], first: str, expected: list[str], registry: Registry
) -> None:
    days = [date.fromisoformat(first) + timedelta(days=number) for number in range(17)]
    of_day = select_version("as-of", days, registry)
    assert list(map(str, days_of_new_models(days, of_day, before))) == expected
