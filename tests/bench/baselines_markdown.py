"""The tables of tests/bench/README.md: one per task, a line per model, means with their 95 % intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

HEADINGS = {
    "hr_at_10": "HR@10",
    "capped_recall_at_10": "recall@10 of min(10, n)",
    "recall_at_10": "recall@10",
    "ndcg_at_10": "nDCG@10",
    "f1_at_5": "F1@5",
}
Json = Mapping[str, Any]


def markdown(result: Json) -> str:
    """Return the tables of all sets, and of the evaluation of the demo where there is one."""
    parts = [_of_task(one, task) for one in result["sets"] for task in one["tasks"]]
    if "demo" in result:
        parts.append(_of_demo(result["demo"]))
    return "\n\n".join(parts)


def _of_task(of: Json, task: Json) -> str:
    counts = task["input"]
    users = f"{counts.get('test_users', counts['users']):,} users"
    trial = ", a trial that proves nothing" if of["quick_users"] else ""
    catalogue = f"{counts['items']:,} items" if "items" in counts else f"{counts['tags']:,} tags"
    rows = [
        [one["method"], one["metrics"], one["preparing_seconds"], one["scoring_seconds"]] for one in task["methods"]
    ]
    return _table(f"{of['title']}: {task['task']}, {users}, {catalogue}{trial}", rows)


def _of_demo(report: Json) -> str:
    rows = [
        [one["name"], one["intervals"], one["seconds"]["preparing"], one["seconds"]["scoring"]]
        for one in reversed(report["models"])
    ]
    split = report["configuration"]["split"]
    return _table(f"Demo as of {split['test']}: tags of the next {split['horizon_days']} days", rows)


def _table(title: str, rows: Sequence[Sequence[Any]]) -> str:
    """Return a table under its title. rows: model, metrics by name, seconds to fit, seconds to predict."""
    metrics = [metric for metric in HEADINGS if all(metric in row[1] for row in rows)]
    header = ["model", *(HEADINGS[metric] for metric in metrics), "fit s", "predict s"]
    lines = [header, ["---"] * len(header)]
    for method, values, fit_seconds, predict_seconds in rows:
        cells = [f"{values[one]['mean']:.3f} ({values[one]['low']:.3f}–{values[one]['high']:.3f})" for one in metrics]
        lines.append([method, *cells, f"{fit_seconds:.1f}", f"{predict_seconds:.1f}"])
    return f"**{title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
