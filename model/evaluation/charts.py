"""The charts of the evaluation page."""

from collections.abc import Mapping
from typing import Any

import altair as alt
from markupsafe import Markup

from throughline.charts import AXIS, TEXT, Rows, as_svg, inline

# Colours that colour-blind readers can distinguish, by Okabe and Ito; the blue is lighter, to read on a dark page too.
PALETTE = ["#2a86c8", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#888888"]
PANELS_WIDTH, LINES_WIDTH, LINES_HEIGHT = 640, 740, 280  # pixels
CONFIG: Mapping[str, Any] = {
    "padding": {"left": 24, "top": 5, "right": 24, "bottom": 5},  # room where the reader's font is wider
    "axis": {**AXIS, "labelPadding": 8, "labelFlush": False, "tickCount": 6},
    "legend": {**TEXT, "orient": "top", "symbolType": "circle", "labelLimit": 0, "columnPadding": 30},
    "header": {**TEXT, "labelFontSize": 13, "title": None},
}


def interval_panels(rows: Rows) -> Markup:
    """Draw a panel for each metric, and in it a dot and an interval for each model.

    rows: `model`, `metric`, `mean`, `low`, `high`; models and metrics appear in the order of their first row.
    """
    metrics = [*dict.fromkeys(row["metric"] for row in rows)]
    # Labels of 5 characters need some 60 pixels each.
    x = alt.X("low:Q", title=None).scale(zero=False, nice=True).axis(tickCount=PANELS_WIDTH // len(metrics) // 60)
    base = alt.Chart().encode(y=alt.Y("model:N", sort=None, title=None).axis(labelLimit=220, grid=True))
    intervals = base.mark_rule(color=PALETTE[0], strokeWidth=2).encode(x=x, x2="high:Q")
    dots = base.mark_circle(color=PALETTE[0], size=70, opacity=1).encode(x="mean:Q")
    panel = alt.layer(intervals, dots, data=inline(rows)).properties(
        width=PANELS_WIDTH // len(metrics), height=alt.Step(26)
    )
    return as_svg(panel.facet(column=alt.Column("metric:N", sort=metrics)).resolve_scale(x="independent"), **CONFIG)


def line_chart(rows: Rows, x_title: str | None, y_title: str, has_diagonal: bool = False) -> Markup:
    """Draw a line with dots for each name, over numbers or, where x is text, over categories.

    rows: `name`, `x`, `y`; names and categories appear in the order of their first row.
    has_diagonal: both axes start at 0, and a dashed line marks where x equals y.
    """
    is_category = isinstance(rows[0]["x"], str)
    names = [*dict.fromkeys(row["name"] for row in rows)]
    x = alt.X("x:O" if is_category else "x:Q", sort=None, title=x_title).axis(labelAngle=0, grid=not is_category)
    chart: Any = (
        alt.Chart(inline(rows))
        .mark_line(strokeWidth=2, point={"filled": True, "size": 45})
        .encode(
            x=x if is_category else x.scale(zero=has_diagonal),
            y=alt.Y("y:Q", title=y_title).scale(zero=has_diagonal),
            color=alt.Color("name:N", title=None).scale(domain=names, range=PALETTE),
        )
    )
    if has_diagonal:
        end = max(max(row["x"], row["y"]) for row in rows)
        corners = alt.Chart(inline([{"x": 0, "y": 0}, {"x": end, "y": end}])).encode(x="x:Q", y="y:Q")
        chart = corners.mark_line(color="currentColor", opacity=0.5, strokeDash=[3, 4]) + chart
    return as_svg(chart.properties(width=LINES_WIDTH, height=LINES_HEIGHT), **CONFIG)
