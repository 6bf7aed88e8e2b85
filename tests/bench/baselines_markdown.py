"""The README's tables of baselines: one a question, a line a method, means with their 95 % intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

HEADINGS = {
    "hr_at_10": "HR@10",
    "capped_recall_at_10": "recall@10 of min(10, n)",
    "recall_at_10": "recall@10",
    "ndcg_at_10": "nDCG@10",
    "f1_at_5": "F1@5",
}
Told = Mapping[str, Any]


def markdown(result: Told) -> str:
    """Return the tables of all sets, and of the evaluation of the demo where there is one."""
    parts = [_of_task(one, task) for one in result["sets"] for task in one["tasks"]]
    if "demo" in result:
        parts.append(_of_demo(result["demo"]))
    return "\n\n".join(parts)


def _of_task(of: Told, task: Told) -> str:
    asked = task["asked"]
    users = f"{asked.get('test_users', asked['users']):,} users"
    trial = ", a trial that proves nothing" if of["quick_users"] else ""
    things = f"{asked['items']:,} items" if "items" in asked else f"{asked['tags']:,} tags"
    rows = [
        [one["method"], one["metrics"], one["preparing_seconds"], one["scoring_seconds"]] for one in task["methods"]
    ]
    return _table(f"{of['title']}: {task['task']}, {users}, {things}{trial}", rows)


def _of_demo(report: Told) -> str:
    rows = [
        [one["name"], one["intervals"], one["seconds"]["preparing"], one["seconds"]["scoring"]]
        for one in reversed(report["contestants"])
    ]
    split = report["configuration"]["split"]
    return _table(f"Demo as of {split['test']}: tags of the next {split['horizon_days']} days", rows)


def _table(title: str, rows: Sequence[Sequence[Any]]) -> str:
    """Return a table under its title. rows: method, metrics by name, seconds to prepare, seconds to score."""
    metrics = [metric for metric in HEADINGS if all(metric in row[1] for row in rows)]
    header = ["method", *(HEADINGS[metric] for metric in metrics), "prepare s", "score s"]
    lines = [header, ["---"] * len(header)]
    for method, values, preparing, scoring in rows:
        told = [f"{values[one]['mean']:.3f} ({values[one]['low']:.3f}–{values[one]['high']:.3f})" for one in metrics]
        lines.append([method, *told, f"{preparing:.1f}", f"{scoring:.1f}"])
    return f"**{title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
