"""The charts of a night's report."""

from collections.abc import Mapping
from typing import Any

import altair as alt
from markupsafe import Markup

from throughline.charts import AXIS, BLUE, Rows, as_svg, inline

COLORS = (BLUE, "#d07a1c", "#3d9a57", "#a763c5", "#cf4f6b")  # each reads on a light and on a dark page
WIDTH, HEIGHT = 400, 170  # pixels; a page scales a chart to its width, and a phone shows it whole
CONFIG: Mapping[str, Any] = {"padding": 8, "axis": {**AXIS, "tickCount": 5}}


def columns(rows: Rows, x: str, y: str) -> Markup:
    """Draw one upright bar a row, in the order of the rows."""
    chart = alt.Chart(inline(rows)).mark_bar(color=BLUE)
    across = alt.X(f"{x}:N", sort=None, title=title(x)).axis(
        labelAngle=0, labelOverlap=True, labelSeparation=6, grid=False
    )
    return as_svg(chart.encode(x=across, y=_number(y)).properties(width=WIDTH, height=HEIGHT), **CONFIG)


def bars(rows: Rows, y: str, x: str, change: str) -> Markup:
    """Draw one lying bar a row, in their order: for long names. The colour tells whether the column `change` falls."""
    chart = alt.Chart(
        inline([{**row, "direction": "falls" if row[change] < 0 else "rises"} for row in rows])
    ).mark_bar()
    down = alt.Y(f"{y}:N", sort=None, title=None).axis(labelLimit=130, grid=False)
    color = alt.Color("direction:N", scale=alt.Scale(domain=["rises", "falls"], range=COLORS[:2]), title=None).legend(
        orient="bottom", labelColor="currentColor", labelFontSize=12, symbolOpacity=1
    )
    encoded = chart.encode(y=down, x=alt.X(f"{x}:Q", title=title(x)), color=color)
    return as_svg(encoded.properties(width=WIDTH, height=alt.Step(22)), **CONFIG)


def line(rows: Rows, x: str, y: str) -> Markup:
    """Draw a line with a dot a row."""
    chart = alt.Chart(inline(rows)).mark_line(color=BLUE, point={"filled": True, "size": 45, "color": BLUE})
    across = alt.X(f"{x}:O", sort=None, title=title(x)).axis(labelAngle=0, labelOverlap=True, grid=False)
    return as_svg(chart.encode(x=across, y=_number(y)).properties(width=WIDTH, height=HEIGHT), **CONFIG)


def lines(rows: Rows, x: str, y: str, of: str) -> Markup:
    """Draw a line with a dot a row for each value of the column `of`, at most as many as there are colours.

    x: a column of days as ISO text.
    """
    names = list(dict.fromkeys(row[of] for row in rows))
    color = alt.Color(f"{of}:N", scale=alt.Scale(domain=names, range=COLORS), title=None).legend(
        orient="bottom", columns=2, labelColor="currentColor", labelFontSize=12, labelLimit=180, symbolOpacity=1
    )
    chart = alt.Chart(inline(rows)).mark_line(point={"filled": True, "size": 45})
    across = alt.X(f"{x}:T", title=title(x), scale=alt.Scale(type="utc"))
    across = across.axis(format="%-d %b", tickCount="day", labelOverlap=True, grid=False)
    return as_svg(chart.encode(x=across, y=_number(y), color=color).properties(width=WIDTH, height=HEIGHT), **CONFIG)


def diagonal(rows: Rows, x: str, y: str) -> Markup:
    """Draw a dot a row beside the line on which x equals y. Both axes run from 0 to 1."""
    unit = alt.Scale(domain=[0, 1])
    dots = alt.Chart(inline(rows)).mark_circle(color=BLUE, size=70, opacity=1)
    equal = alt.Chart(inline([{x: 0, y: 0}, {x: 1, y: 1}])).mark_line(color="currentColor", strokeDash=[3, 4])
    encoded = {"x": alt.X(f"{x}:Q", title=title(x), scale=unit), "y": alt.Y(f"{y}:Q", title=title(y), scale=unit)}
    return as_svg(
        (equal.encode(**encoded) + dots.encode(**encoded)).properties(width=WIDTH, height=WIDTH * 2 // 3), **CONFIG
    )


def title(name: str) -> str:
    """Return the name of a column as people read it: `event_count` is `events`."""
    return name.replace("_count", "s").replace("_", " ")


def _number(name: str) -> alt.Y:
    return alt.Y(f"{name}:Q", title=title(name))
