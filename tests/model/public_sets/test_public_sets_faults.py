"""What `make bench baselines` calls a fault, and the README's tables that it prints."""

from typing import Any

import pytest

from tests.bench.baselines import faults
from tests.bench.baselines_markdown import markdown


def bench_of(name: str, method: str, hr: float = 0.3, tried: tuple[float, float] = (0.3, 0.3)) -> dict[str, Any]:
    untuned, tuned = tried
    return {
        "name": name,
        "title": name.title(),
        "quick_users": None,
        "tasks": [
            {
                "task": "next item",
                "asked": {"users": 6040, "items": 3416},
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
def test_a_transition_below_what_it_reached_on_movielens_is_a_fault(hr: float, count: int) -> None:
    assert len(faults([bench_of("movielens", "transition", hr=hr), bench_of("beauty", "transition", hr=0.08)])) == count


def test_counts_that_tuning_made_worse_are_a_fault() -> None:
    good, worse = (bench_of("taobao", "counts-1", tried=(0.3, tuned)) for tuned in (0.3, 0.29))
    assert faults([good]) == []
    assert faults([good, worse]) == [
        "taobao, next item, counts-1: nDCG@10 on the validation is 0.2900 tuned, below 0.3000 untuned"
    ]


def test_the_markdown_has_a_line_for_each_method() -> None:
    assert markdown({"sets": [bench_of("movielens", "transition")]}) == (
        "**Movielens: next item, 6,040 users, 3,416 items**\n\n"
        "| method | HR@10 | prepare s | score s |\n| --- | --- | --- | --- |\n"
        "| transition | 0.300 (0.290–0.310) | 11.4 | 1.0 |"
    )
