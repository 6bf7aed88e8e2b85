"""The README's tables of the planted world: who finds what people want, and what is lost without their sessions."""

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
    "ablations": "Does crossing sessions matter?",
    "ablations_without_paths": "Does it to the network alone, without the other models' scores?",
}
Told = Mapping[str, Any]


def markdown(result: Told) -> str:
    """Return the tables. In brackets: how far from the first line, with the paired interval of 95 %."""
    asked, split = result["asked"], result["config"]["split"]
    lively = f"{asked['lively_users']:,} people for planted interests, {asked['test_users']:,} for touched tags"
    parts = []
    if result["methods"]:
        title = f"Demo's world as of {split['test']}, straight from the generator: {lively}"
        header = ["method", *HEADINGS.values(), "ECE", "train or tune s"]
        lines = [
            [one["name"], *_values(one, tuple(HEADINGS)), _or_dash(one["ece"], ".4f"), _or_dash(one["seconds"], ".0f")]
            for one in result["methods"]
        ]
        parts.append(_table(title, header, lines))
    for of, title in ABLATIONS.items():
        if result[of]:
            header = ["sessions", "how", *(HEADINGS[metric] for metric in OF_ABLATIONS)]
            lines = [[one["name"], one["kind"], *_values(one, OF_ABLATIONS)] for one in result[of]]
            parts.append(_table(title, header, lines))
    return "\n\n".join(parts)


def _values(one: Told, metrics: Sequence[str]) -> list[str]:
    return [_value(one, metric) for metric in metrics]


def _value(one: Told, metric: str) -> str:
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
