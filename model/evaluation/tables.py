"""How an evaluation is told in a terminal and in a README. Numbers as .561, differences as +.028."""

from collections.abc import Sequence
from math import isnan

from rich.table import Table

from model.evaluation.backtest import Evaluation
from model.evaluation.results import MAIN, EvaluationResult, LeaderboardRow
from model.metrics import Difference

LABELS = {
    "ndcg_at_10": "nDCG@10",
    "ndcg_at_5": "nDCG@5",
    "map": "MAP",
    "recall_at_10": "recall@10",
    "f1_at_5": "F1@5",
    "f1_at_10": "F1@10",
    "precision_at_10": "precision@10",
    "capped_recall_at_10": "capped recall@10",
    "f1_at_threshold": "F1 tuned",
    "accuracy": "accuracy",
    "hit_rate_at_10": "HR@10",
    "coverage": "coverage",
}
MAIN_LABEL, *OTHER_LABELS = LABELS.values()
HEADINGS = (
    "contestant", MAIN_LABEL, "vs best", *OTHER_LABELS,
    "ECE before", "ECE after", "Brier after", "prepare s", "score s",
)  # fmt: skip
# Three tables, as one is too wide: what each is called, and its first heading.
PARTS = {"": MAIN_LABEL, "more of the ranking": "precision@10", "probabilities and cost": "ECE before"}


def rows(evaluation: Evaluation) -> list[list[str]]:
    """Return a row of texts for each contestant, best first, one per HEADINGS."""
    return [_row(row) for row in evaluation.leaderboard.rows]


def title(evaluation: Evaluation) -> str:
    split = evaluation.split
    days = "day" if split.horizon_days == 1 else f"{split.horizon_days} days"
    return (
        f"as of {split.test}, judged by the {days} through {split.last}: {evaluation.test_users:,} users, "
        f"{evaluation.tags:,} tags"
    )


def parts(evaluation: Evaluation) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    """Return name, headings and rows of the ranking, of more of it, and of what it takes to trust and to run it."""
    every_row = rows(evaluation)
    starts = [HEADINGS.index(first) for first in PARTS.values()]
    return [
        (
            name or title(evaluation),
            (HEADINGS[0], *HEADINGS[start:end]),
            [[row[0], *row[start:end]] for row in every_row],
        )
        for name, start, end in zip(PARTS, starts, [*starts[1:], len(HEADINGS)], strict=True)
    ]


def terminal_tables(evaluation: Evaluation) -> list[Table]:
    return [_table(headings, part, name) for name, headings, part in parts(evaluation)]


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
    best, *others = evaluation.leaderboard.rows
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


def _row(row: LeaderboardRow) -> list[str]:
    judged = row.judged
    figures = judged.figures
    main, *others = (share(figures.get(metric, float("nan"))) for metric in LABELS)
    return [
        judged.name,
        main,
        interval(row.against_best[MAIN]) if row.against_best else "best",
        *others,
        share(judged.before.ece) if judged.before else "–",
        share(judged.after.ece) if judged.after else "–",
        _brier(judged),
        f"{judged.cost.preparing:.1f}",
        f"{judged.cost.scoring:.1f}",
    ]


def _brier(judged: EvaluationResult) -> str:
    return f"{judged.after.brier:.4f}".replace("0.", ".", 1) if judged.after else "–"


def _table(headings: Sequence[str], every_row: Sequence[Sequence[str]], title: str) -> Table:
    table = Table(title=title)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in every_row:
        table.add_row(*row)
    return table
