"""How a challenge is told: a table for the eye, a line for the log. Numbers as .561, differences as +.028."""

from datetime import date

from rich.table import Table

from model.training.challenge import Challenge
from model.training.judging import Judged


def contestants(challenge: Challenge) -> Table:
    """Return the figures of everybody judged, best first."""
    plan = challenge.plan
    title = f"judged as of {plan.judged} by the 7 days through {plan.through}, {challenge.judged_users:,} users"
    table = Table("model", title=title)
    for column in ("nDCG@10", "recall@10", "F1@5", "calibration error"):
        table.add_column(column, justify="right")
    for judged in challenge.judged:
        table.add_row(judged.name, *_figures(judged))
    return table


def last_line(challenge: Challenge, fate: str, name: str) -> str:
    """Return the outcome in one line, such as `boosting-1.20260201 promoted: nDCG@10 .561 against .533 of counts-1`."""
    outcome = challenge.leader.verdict
    difference = outcome.difference
    return (
        f"{name} {fate}: nDCG@10 {_share(outcome.challenger.ndcg_at_10)} against "
        f"{_share(outcome.best.ndcg_at_10)} of {outcome.best.name}, difference {_signed(difference.mean)} "
        f"[{_signed(difference.low)}, {_signed(difference.high)}]"
    )


def has_seen_the_week(name: str, trained_through: date) -> str:
    return f"{name} is no opponent: trained through {trained_through}, it has seen days of the week that judges"


def _figures(judged: Judged) -> list[str]:
    return [_share(value) for value in judged.figures().values()]


def _share(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if 0 <= value < 0.9995 else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:+.3f}"
