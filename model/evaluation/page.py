"""The evaluation as one HTML page that needs no other file: tables, charts and a caption for each."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from model.evaluation.backtest import Evaluation
from model.evaluation.charts import interval_panels, line_chart
from model.evaluation.report import Configuration
from model.evaluation.results import MAIN, WITH_INTERVALS, EvaluationResult, Leaderboard
from model.evaluation.tables import LABELS, interval, negated, parts, share, title

TEMPLATE = "page.html.j2"
MAX_LINES = 4  # models in one chart of lines; more lines hide each other
REPEAT, NEW = "repeat_recall_at_10", "new_recall_at_10"


def render_page(evaluation: Evaluation, configuration: Configuration) -> str:
    """Return the page as HTML. It holds its styles and charts, has no script, and fetches nothing."""
    best = evaluation.leaderboard.best
    context = {
        "evaluation": evaluation,
        "split": evaluation.split,
        "configuration": configuration,
        "title": title(evaluation),
        "best": best,
        "main": MAIN,
        "tables": parts(evaluation),
        "ranking": ranking(evaluation.leaderboard),
        "cohorts": cohorts(evaluation.leaderboard),
        "repeat_and_new": _repeat_and_new(evaluation),
        "calibration": calibration(best),
        "return_auc": sorted(evaluation.return_auc.items(), key=lambda one: (isnan(one[1]), -one[1])),
        **_leads(evaluation),
    }
    return render(Path(__file__).with_name(TEMPLATE), context)


def render(template: Path, context: Mapping[str, Any]) -> str:
    """Return a template with its values, each escaped. It may import `parts.html.j2`."""
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(share=share, interval=interval)
    return environment.get_template(template.name).render(context) + "\n"


def _leads(evaluation: Evaluation) -> dict[str, Any]:
    """Return the second model, and the lead of the best over it and over counts-1; None where there is no other."""
    best, *others = evaluation.leaderboard.rows
    against_best = others[0].against_best if others else None
    return {
        "second": others[0].result.name if others else None,
        "lead": negated(against_best[MAIN]) if against_best else None,
        "lead_over_counts": best.against_counts[MAIN] if best.against_counts else None,
    }


def ranking(leaderboard: Leaderboard) -> dict[str, Any]:
    """Return the chart of intervals, and by metric how many models are significantly below the best."""
    rows = leaderboard.rows
    intervals = [
        {"model": row.result.name, "metric": LABELS[metric], "mean": one.mean, "low": one.low, "high": one.high}
        for row in rows
        for metric, one in row.intervals.items()
    ]
    behind = {
        LABELS[metric]: sum(row.against_best[metric].high < 0 for row in rows if row.against_best)
        for metric in WITH_INTERVALS
    }
    return {"chart": interval_panels(intervals), "behind": behind, "others": len(rows) - 1}


def cohorts(leaderboard: Leaderboard) -> dict[str, Any]:
    """Return the chart of nDCG@10 by cohort, and the cohorts in which the best model is best and worst."""
    best = leaderboard.best
    points = [
        {"name": row.result.name, "x": f"{cohort} ({users:,})", "y": value}
        for cohort, users in best.users_of.items()
        for row in leaderboard.rows[:MAX_LINES]
        if not isnan(value := row.result.cohort_figures[cohort][MAIN])
    ]
    value_of = {cohort: figures[MAIN] for cohort, figures in best.cohort_figures.items() if not isnan(figures[MAIN])}
    ascending = sorted(value_of.items(), key=lambda one: one[1])
    chart = line_chart(points, None, LABELS[MAIN])
    return {"chart": chart, "lowest": ascending[0], "highest": ascending[-1]}


def _repeat_and_new(evaluation: Evaluation) -> Markup:
    """Return a chart of the recall of tags that users had touched before and of tags new to them."""
    panels = {REPEAT: "tags touched before", NEW: "tags new to the user"}
    found = [
        {"model": row.result.name, "metric": panel, "mean": value, "low": value, "high": value}
        for row in evaluation.leaderboard.rows
        for metric, panel in panels.items()
        if not isnan(value := row.result.figures[metric])
    ]
    return interval_panels(found)


def calibration(best: EvaluationResult) -> dict[str, Any] | None:
    """Return the reliability chart and the calibration errors; None where the model has no probabilities."""
    stages = {"before calibration": best.before, "after calibration": best.after}
    if best.before and not best.after:
        stages = {"of the model itself": best.before}
    points = [
        {"name": name, "x": point.predicted, "y": point.observed}
        for name, probabilities in stages.items()
        if probabilities
        for point in probabilities.points
    ]
    if not points:
        return None
    return {
        "chart": line_chart(points, "predicted probability", "observed share", has_diagonal=True),
        "errors": {name: one.ece for name, one in stages.items() if one},
        "method": best.reading.calibrator.as_json()["method"] if best.reading.calibrator else None,
        "is_worse": bool(best.before and best.after and best.after.ece > best.before.ece),
    }
