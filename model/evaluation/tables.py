"""Tables and one-line summaries for terminals and READMEs. Numbers as .561, differences as +.028."""

from collections.abc import Mapping, Sequence
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
    "model", MAIN_LABEL, "vs best", *OTHER_LABELS,
    "ECE before", "ECE after", "Brier after", "fit s", "score s",
)  # fmt: skip
# One table is too wide: the name and the first heading of each of three.
PARTS = {"": MAIN_LABEL, "more of the ranking": "precision@10", "probabilities and cost": "ECE before"}


def rows(evaluation: Evaluation) -> list[list[str]]:
    """Return one row of texts for each model, best first, with one cell per heading."""
    return [_row(row) for row in evaluation.leaderboard.rows]


def title(evaluation: Evaluation) -> str:
    split = evaluation.split
    tested = f"as of {split.test}, tested on {split.tested_days}"
    return f"{tested}: {evaluation.test_users:,} users, {evaluation.tags:,} tags"


def parts(evaluation: Evaluation) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    """Return name, headings and rows of three tables: ranking, more of the ranking, probabilities and cost."""
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


def last_line(evaluation: Evaluation, page: str) -> str:
    """Return the best model, its lead and the place of the page in one line."""
    best, *others = evaluation.leaderboard.rows
    line = f"{best.result.name} leads as of {evaluation.split.test}: nDCG@10 {share(best.result.figures[MAIN])}"
    if others:
        second = others[0]
        assert second.against_best is not None, "only the best is not compared with the best"
        lead = negated(second.against_best[MAIN])
        line += f" against {share(second.result.figures[MAIN])} of {second.result.name}, difference {interval(lead)}"
    return f"{line}; see {page}"


def promotion_table(title: str, figures: Sequence[tuple[str, Mapping[str, float]]]) -> Table:
    """Return a row of figures for each model, in the given order."""
    every_row = [[name, *(share(value) for value in values.values())] for name, values in figures]
    return _table(("model", "nDCG@10", "recall@10", "F1@5", "calibration error"), every_row, title)


def promotion_line(outcome: str, ndcg: float, best_ndcg: float, best: str, difference: Difference) -> str:
    """Return one line such as `boosting-1.20260201 promoted: nDCG@10 .561 against .533 of counts-1, difference +.028`
    with the interval of the difference."""
    return f"{outcome}: nDCG@10 {share(ndcg)} against {share(best_ndcg)} of {best}, difference {interval(difference)}"


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
    result = row.result
    figures = result.figures
    main, *others = (share(figures.get(metric, float("nan"))) for metric in LABELS)
    return [
        result.name,
        main,
        interval(row.against_best[MAIN]) if row.against_best else "best",
        *others,
        share(result.before.ece) if result.before else "–",
        share(result.after.ece) if result.after else "–",
        _brier(result),
        f"{result.cost.preparing:.1f}",
        f"{result.cost.scoring:.1f}",
    ]


def _brier(result: EvaluationResult) -> str:
    return f"{result.after.brier:.4f}".replace("0.", ".", 1) if result.after else "–"


def _table(headings: Sequence[str], every_row: Sequence[Sequence[str]], title: str) -> Table:
    table = Table(title=title)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in every_row:
        table.add_row(*row)
    return table
