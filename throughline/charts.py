"""What the charts of all pages share: Altair draws them as SVG that suits a light and a dark page."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import altair as alt
from markupsafe import Markup

BLUE = "#2a86c8"  # reads on a light and on a dark page
# Text and grid have the colour of the page's text.
TEXT = {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12}
AXIS: Mapping[str, Any] = {
    **TEXT,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "titlePadding": 10,
    "domain": False,
    "ticks": False,
    "gridColor": "currentColor",
    "gridOpacity": 0.15,
}
CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": "Arial, Liberation Sans, Helvetica, sans-serif",  # Altair measures texts with Liberation Sans
    "view": {"stroke": "transparent"},
}
Rows = Sequence[Mapping[str, Any]]


def inline(rows: Rows) -> alt.InlineData:
    """Return rows as the data of a chart."""
    return alt.InlineData(values=[dict(row) for row in rows])


def as_svg(chart: Any, **config: Any) -> Markup:
    """Return the chart as SVG. Altair escapes the text in it. config: beside CONFIG."""
    drawn = StringIO()
    chart.configure(**CONFIG, **config).save(drawn, format="svg")
    return Markup(drawn.getvalue())
