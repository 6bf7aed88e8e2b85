"""Tables of a benchmark's results for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tests.bench.public_sets.results import SetResult, TaskResult

# The plain recall is in the file only.
HEADINGS = {
    "hr_at_10": "HR@10",
    "capped_recall_at_10": "recall@10\nof min(10, n)",  # n: the tags of the user in the window
    "ndcg_at_10": "nDCG@10",
    "f1_at_5": "F1@5",
}


def tables(found: SetResult) -> list[Table]:
    """Return one table per task: a line per model, means with their 95 % intervals."""
    return [_table(found, task) for task in found.tasks]


def _table(found: SetResult, task: TaskResult) -> Table:
    quick = ", a trial: proves nothing" if found.quick_users else ""
    table = Table(title=f"{found.title}: {task.task} ({task.input['users']:,} users{quick})", show_lines=True)
    table.add_column("model")
    shown = [metric for metric in HEADINGS if metric in task.methods[0].metrics]
    for metric in shown:
        table.add_column(HEADINGS[metric], justify="right", no_wrap=True)
    for heading in ("fit", "predict"):
        table.add_column(f"{heading}\nseconds", justify="right")
    for one in task.methods:
        table.add_row(
            f"{one.method}\n[dim]{settings_text(tuned(one.settings, task.families[one.method]))}",
            *(f"{of.mean:.3f}\n{of.low:.3f}-{of.high:.3f}" for of in (one.metrics[metric] for metric in shown)),
            f"{one.preparing_seconds:.1f}",
            f"{one.scoring_seconds:.1f}",
        )
    return table


def tuned(settings: Mapping[str, Any], tried: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings that differ within the grid."""
    return {name: value for name, value in settings.items() if any(one.get(name) != value for one in tried)}


def settings_text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value_text(value)}" for name, value in settings.items()) or "nothing to tune"


def _value_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "/".join(_value_text(one) for one in value.values())
    if isinstance(value, list | tuple):
        return " and ".join(_value_text(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
