"""What a training found: six sentences for the terminal, and one HTML page with all figures and charts.

The page needs no other file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isnan
from pathlib import Path

from markupsafe import Markup

from model.data.cutoffs import MAX_TRAIN_CUTOFFS
from model.data.days import days_in_words
from model.evaluation.charts import line_chart
from model.evaluation.page import calibration, cohorts, ranking, render
from model.evaluation.results import MAIN, EvaluationResult, build_leaderboard
from model.evaluation.tables import LABELS, interval, promotion_line, share, signed
from model.training.items import ItemPromotion
from model.training.promotion import Promotion

FEW_USERS = 30  # a cohort of fewer says nothing
GOOD_CALIBRATION = 0.03
MAX_TIMES = 20  # as many users more are out of reach


@dataclass(frozen=True)
class Finding:
    """A question that a reader has, and its answer."""

    question: str
    answer: str


def findings(promotion: Promotion, outcome: str, seconds: float) -> list[Finding]:
    """Return what won, on whom it was tested, where it leads, how far off its probabilities are, what it costs, and
    what would make it better.

    outcome: such as `boosting-1.20260201 promoted`. seconds: of the whole training.
    """
    comparison = promotion.leader.comparison
    leader, best = comparison.challenger, comparison.best
    cutoffs = promotion.cutoffs
    figures = (leader.figures[MAIN], best.figures[MAIN], best.name)
    windows = len(cutoffs.ended_by(cutoffs.test))
    return [
        Finding("Which model won?", promotion_line(outcome, *figures, comparison.difference)),
        Finding(
            "On whom?",
            f"tested on {promotion.test_users:,} users who touched a tag in {cutoffs.tested_days}; "
            f"trained on {windows} earlier {'window' if windows == 1 else 'windows'}",
        ),
        Finding("Where?", _by_cohort(leader, best)),
        Finding("How well calibrated?", _calibration(leader, best)),
        Finding(
            "At what cost?",
            f"the training took {seconds:.0f} s; scoring the test users {leader.cost.scoring:.1f} s, with {best.name} "
            f"{best.cost.scoring:.1f} s",
        ),
        Finding("What would make it better?", "; ".join(_advice(promotion)) or "nothing that this test shows"),
    ]


def items_finding(items: ItemPromotion, outcome: str) -> Finding:
    """Return which ranking of items won. outcome: such as `items-1.20260201 promoted`."""
    figures = (items.challenger.figures[MAIN], items.best.figures[MAIN], f"the ranking by {items.best.name}")
    new = f"{share(items.challenger.figures['new'])} of the listed items are new to their user"
    return Finding("Which items?", f"{promotion_line(outcome, *figures, items.difference)}; {new}")


def _by_cohort(leader: EvaluationResult, best: EvaluationResult) -> str:
    """Return where the leader is most and least ahead."""
    leads = {
        cohort: leader.cohort_figures[cohort][MAIN] - best.cohort_figures[cohort][MAIN]
        for cohort, users in leader.users_of.items()
        if users >= FEW_USERS
    }
    leads = {cohort: lead for cohort, lead in leads.items() if not isnan(lead)}
    if not leads:
        return f"no group of users by length of history has {FEW_USERS} users, too few to say"
    most, least = max(leads, key=lambda one: leads[one]), min(leads, key=lambda one: leads[one])
    described = [
        f"{signed(leads[cohort])} for “{cohort}” ({leader.users_of[cohort]:,} users)" for cohort in (most, least)
    ]
    if most == least:
        return f"{described[0]}, the only large group by length of history"
    if leads[most] < 0:
        every_group = f"every group of {FEW_USERS} users or more"
        return f"it is behind in {every_group}: least, {described[0]}, and most, {described[1]}"
    groups = f"among groups of {FEW_USERS} users or more"
    return f"its lead is largest, {described[0]}, and smallest, {described[1]}, {groups}"


def _calibration(leader: EvaluationResult, best: EvaluationResult) -> str:
    errors = [f"{share(one.before.ece)} with {one.name}" for one in (leader, best) if one.before]
    return f"the ten highest probabilities of a user are off by {' and '.join(errors)} on average"


def _advice(promotion: Promotion) -> Iterator[str]:
    """Yield what limits the model or the test."""
    comparison, cutoffs = promotion.leader.comparison, promotion.cutoffs
    difference = comparison.difference
    if difference.low <= 0 < difference.mean:
        half_width = (difference.high - difference.low) / 2
        times = max(2, ceil((half_width / difference.mean) ** 2))
        if times <= MAX_TIMES:
            yield f"more users: with about {times} times as many, such a lead would be significant"
        else:
            yield f"another model: such a lead needs more than {MAX_TIMES} times as many users to be significant"
    elif difference.mean <= 0:
        yield f"{comparison.best.name} ranks at least as well, so more history or richer events (types, tags, dwell)"
    if len(cutoffs.train) < MAX_TRAIN_CUTOFFS:
        missing = (MAX_TRAIN_CUTOFFS - len(cutoffs.train)) * cutoffs.horizon_days
        yield f"a longer log: {days_in_words(missing)} more give the training all its windows"
    before = comparison.challenger.before
    if before and before.ece > GOOD_CALIBRATION:
        yield f"more users to calibrate on: an error above {share(GOOD_CALIBRATION)} makes probabilities a mere ranking"


TEMPLATE = Path(__file__).with_name("page.html.j2")
HEADINGS = ("model", "nDCG@10", "against counts-1", "recall@10", "F1@5", "coverage", "calibration error", "score s")


def render_page(
    promotion: Promotion, found: Sequence[Finding], run_id: str, snapshots: Mapping[str, int | None]
) -> str:
    """Return the page as HTML. It holds its styles and charts, has no script, and fetches nothing.

    found: as `findings` returns them. snapshots: what was read, by table.
    """
    leaderboard = build_leaderboard(promotion.results)
    return render(
        TEMPLATE,
        {
            "found": found,
            "cutoffs": promotion.cutoffs,
            "headings": HEADINGS,
            "rows": [
                [
                    row.result.name,
                    share(row.result.figures["ndcg_at_10"]),
                    interval(row.against_counts["ndcg_at_10"]) if row.against_counts else "–",
                    *[share(row.result.figures[name]) for name in ("recall_at_10", "f1_at_5", "coverage")],
                    share(row.result.before.ece) if row.result.before else "–",
                    f"{row.result.cost.scoring:.1f}",
                ]
                for row in leaderboard.rows
            ],
            "ranking": ranking(leaderboard),
            "cohorts": cohorts(leaderboard),
            "calibration": calibration(promotion.leader.comparison.challenger),
            "leader": promotion.leader.comparison.challenger,
            "curves": _curves(promotion),
            "labels": LABELS,
            "run_id": run_id,
            "snapshots": snapshots,
        },
    )


def _curves(promotion: Promotion) -> Markup | None:
    """Return the chart of the losses of the challengers that have a curve."""
    points = [
        {"name": outcome.comparison.challenger.name, "x": point.step, "y": point.loss}
        for outcome in promotion.outcomes
        for point in outcome.trained.curves
    ]
    return line_chart(points, "step", "loss") if points else None
