"""The tables of the planted world in tests/bench/README.md: planted interests found, and ablations."""

from collections.abc import Mapping, Sequence
from typing import Any

HEADINGS = {
    "planted_at_3": "planted@3",
    "planted_at_5": "planted@5",
    "ndcg_at_10": "nDCG@10",
    "f1_at_5": "F1@5",
    "recall_at_10": "recall@10",
}
OF_ABLATIONS = ("planted_at_3", "planted_at_5", "ndcg_at_10")
ABLATIONS = {
    "ablations": "Ablations",
    "ablations_without_paths": "Ablations of the network without the scores of other models",
}
Json = Mapping[str, Any]


def markdown(result: Json) -> str:
    """Return the tables. In brackets: how far from the first line, with the paired interval of 95 %."""
    counts, split = result["input"], result["config"]["split"]
    lively = f"{counts['lively_users']:,} users for planted interests, {counts['test_users']:,} for touched tags"
    parts = []
    if result["methods"]:
        title = f"The made-up shop as of {split['test']}: {lively}"
        header = ["model", *HEADINGS.values(), "ECE", "train or tune s"]
        lines = [
            [one["name"], *_values(one, tuple(HEADINGS)), _or_dash(one["ece"], ".4f"), _or_dash(one["seconds"], ".0f")]
            for one in result["methods"]
        ]
        parts.append(_table(title, header, lines))
    for of, title in ABLATIONS.items():
        if result[of]:
            header = ["change", "kind", *(HEADINGS[metric] for metric in OF_ABLATIONS)]
            lines = [[one["name"], one["kind"], *_values(one, OF_ABLATIONS)] for one in result[of]]
            parts.append(_table(title, header, lines))
    return "\n\n".join(parts)


def _values(one: Json, metrics: Sequence[str]) -> list[str]:
    return [_value(one, metric) for metric in metrics]


def _value(one: Json, metric: str) -> str:
    mean = f"{one['metrics'][metric]['mean']:.4f}"
    if "above_reference" not in one:
        return mean
    found = one["above_reference"][metric]
    return f"{mean} ({found['mean']:+.4f}: {found['low']:+.4f} to {found['high']:+.4f})"


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _table(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return f"**{title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in rows)
