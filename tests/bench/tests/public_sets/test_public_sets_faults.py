"""The faults that `make bench baselines` finds, and the Markdown tables that it prints."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import tests.bench.baselines as baselines
from tests.bench.baselines import bench_demo, faults
from tests.bench.baselines_markdown import markdown
from tests.bench.measure import Measurement


def bench_of(name: str, method: str, hr: float = 0.3, tried: tuple[float, float] = (0.3, 0.3)) -> dict[str, Any]:
    untuned, tuned = tried
    return {
        "name": name,
        "title": name.title(),
        "quick_users": None,
        "tasks": [
            {
                "task": "next item",
                "input": {"users": 6040, "items": 3416},
                "methods": [
                    {
                        "method": method,
                        "metrics": {"hr_at_10": {"mean": hr, "low": hr - 0.01, "high": hr + 0.01}},
                        "tried": [
                            {"settings": {"is_tuned": False}, "validation_ndcg_at_10": untuned},
                            {"settings": {"is_tuned": True}, "validation_ndcg_at_10": tuned},
                        ],
                        "preparing_seconds": 11.44,
                        "scoring_seconds": 1.0,
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize(("hr", "count"), [(0.22, 0), (0.219, 1)])
def test_a_transition_below_its_former_result_on_movielens_is_a_fault(hr: float, count: int) -> None:
    assert len(faults([bench_of("movielens", "transition", hr=hr), bench_of("beauty", "transition", hr=0.08)])) == count


def test_counts_that_tuning_makes_worse_are_a_fault() -> None:
    good, worse = (bench_of("taobao", "counts-1", tried=(0.3, tuned)) for tuned in (0.3, 0.29))
    assert faults([good]) == []
    assert faults([good, worse]) == [
        "taobao, next item, counts-1: nDCG@10 on the validation is 0.2900 tuned, below 0.3000 untuned"
    ]


def test_the_markdown_has_a_line_for_each_model() -> None:
    assert markdown({"sets": [bench_of("movielens", "transition")]}) == (
        "**Movielens: next item, 6,040 users, 3,416 items**\n\n"
        "| model | HR@10 | fit s | predict s |\n| --- | --- | --- | --- |\n"
        "| transition | 0.300 (0.290–0.310) | 11.4 | 1.0 |"
    )


def test_the_demo_is_evaluated_in_its_home_and_its_newest_report_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / "evaluations" / "2026-01-23-aa" / "report.json"
    older.parent.mkdir(parents=True)
    older.write_text("{}")

    def evaluate(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Measurement:
        assert [*arguments[1:]] == ["evaluate", "--as-of", "2026-01-24", "--horizon-days", "7"]
        report = Path(environment["THROUGHLINE_HOME"]) / "evaluations" / "2026-01-24-bb" / "report.json"
        report.parent.mkdir()
        interval = {"mean": 0.5, "low": 0.4, "high": 0.6}
        seconds = {"tuning": 1.0, "preparing": 2.0, "scoring": 3.0}
        one = {"name": "counts-1", "intervals": {"ndcg_at_10": interval}, "seconds": seconds}
        split = {"test": "2026-01-24", "horizon_days": 7}
        report.write_text(json.dumps({"configuration": {"split": split}, "models": [one]}))
        return Measurement(seconds=9.0, cpu_seconds=8.0, peak_gib=1.0, peak_own_gib=1.0)

    monkeypatch.setattr(baselines, "measured", evaluate)
    found = bench_demo(tmp_path, "2026-01-24", 7, tmp_path)
    assert found["process"]["seconds"] == 9.0
    assert markdown({"sets": [], "demo": found}) == (
        "**Demo as of 2026-01-24: tags of the next 7 days**\n\n"
        "| model | nDCG@10 | fit s | predict s |\n| --- | --- | --- | --- |\n"
        "| counts-1 | 0.500 (0.400–0.600) | 2.0 | 3.0 |"
    )
