"""How an evaluation is told in a terminal and in a README. Numbers as .561, differences as +.028."""

from collections.abc import Sequence
from math import isnan

from rich.table import Table

from model.bootstrap import Difference
from model.evaluation.evaluate import Evaluation
from model.evaluation.judged import MAIN, Judged
from model.evaluation.match import Standing

LABELS = {
    "ndcg_at_10": "nDCG@10",
    "ndcg_at_5": "nDCG@5",
    "map": "MAP",
    "recall_at_10": "recall@10",
    "capped_recall_at_10": "capped recall@10",
    "precision_at_10": "precision@10",
    "f1_at_5": "F1@5",
    "f1_at_10": "F1@10",
    "f1_at_threshold": "F1 tuned",
    "accuracy": "accuracy",
    "hit_rate_at_10": "HR@10",
    "coverage": "coverage",
}
HEADINGS = (
    "contestant", *LABELS.values(), "ECE before", "ECE after", "Brier after", "vs best", "prepare s", "score s",
)  # fmt: skip


def rows(evaluation: Evaluation) -> list[list[str]]:
    """Return a row of texts for each contestant, best first, one per HEADINGS."""
    return [_row(standing) for standing in evaluation.match.standings]


def title(evaluation: Evaluation) -> str:
    split = evaluation.split
    days = "day" if split.horizon_days == 1 else f"{split.horizon_days} days"
    return (
        f"as of {split.test}, judged by the {days} through {split.last}: {evaluation.judging_users:,} users, "
        f"{evaluation.tags:,} tags"
    )


def terminal_tables(evaluation: Evaluation) -> list[Table]:
    """Return the ranking, and what it takes to trust it; two tables, as one is too wide for a terminal."""
    every_row = rows(evaluation)
    cut = HEADINGS.index("accuracy")
    ranking = _table(HEADINGS[:cut], [row[:cut] for row in every_row], title(evaluation))
    rest = _table(
        (HEADINGS[0], *HEADINGS[cut:]), [[row[0], *row[cut:]] for row in every_row], "probabilities, breadth, cost"
    )
    return [ranking, rest]


def markdown(evaluation: Evaluation) -> str:
    """Return the table as a README has it."""
    lines = [
        f"*{title(evaluation)}*",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|---|{'---:|' * (len(HEADINGS) - 1)}",
        *(f"| {' | '.join(row)} |" for row in rows(evaluation)),
    ]
    return "\n".join(lines) + "\n"


def last_line(evaluation: Evaluation, page: str) -> str:
    """Return who won by how much, and where the page is, in one line."""
    best, *others = evaluation.match.standings
    found = f"{best.judged.name} leads as of {evaluation.split.test}: nDCG@10 {share(best.judged.figures[MAIN])}"
    if others:
        second = others[0]
        assert second.against_best is not None, "only the best is not compared with the best"
        lead = negated(second.against_best[MAIN])
        found += f" against {share(second.judged.figures[MAIN])} of {second.judged.name}, difference {interval(lead)}"
    return f"{found}; see {page}"


def negated(difference: Difference) -> Difference:
    """Return the same difference seen from the other side."""
    return Difference(-difference.mean, -difference.high, -difference.low)


def share(value: float) -> str:
    if isnan(value):
        return "–"
    return f"{value:.3f}".replace("0.", ".", 1) if 0 <= value < 0.9995 else f"{value:.3f}"


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:+.3f}"


def interval(difference: Difference) -> str:
    return f"{signed(difference.mean)} [{signed(difference.low)}, {signed(difference.high)}]"


def _row(standing: Standing) -> list[str]:
    judged = standing.judged
    figures = judged.figures
    return [
        judged.name,
        *(share(figures.get(metric, float("nan"))) for metric in LABELS),
        share(judged.before.ece) if judged.before else "–",
        share(judged.after.ece) if judged.after else "–",
        _brier(judged),
        interval(standing.against_best[MAIN]) if standing.against_best else "best",
        f"{judged.cost.preparing:.1f}",
        f"{judged.cost.scoring:.1f}",
    ]


def _brier(judged: Judged) -> str:
    return f"{judged.after.brier:.4f}".replace("0.", ".", 1) if judged.after else "–"


def _table(headings: Sequence[str], every_row: Sequence[Sequence[str]], title: str) -> Table:
    table = Table(headings[0], title=title)
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for row in every_row:
        table.add_row(*row)
    return table
