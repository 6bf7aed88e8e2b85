"""A training as one HTML page that needs no other file: six answers, all figures, charts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from model.evaluation.charts import line_chart
from model.evaluation.page import calibration, cohorts, ranking, render
from model.evaluation.results import build_leaderboard
from model.evaluation.tables import LABELS, interval, share
from model.training.findings import Finding
from model.training.promotion import Promotion

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
