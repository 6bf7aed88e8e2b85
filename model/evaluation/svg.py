"""Plots as inline SVG: marks on a frame with ticks. Colours come from the page, so that they suit light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10

WIDTH = 720
LEFT, RIGHT, TOP = 190, 24, 10
BOTTOM = 44
TICKS = 5
COLOURS = 8  # classes c0 to c7 of the page


@dataclass(frozen=True)
class Scale:
    """From values to places along an axis."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        width = self.high - self.low or 1.0
        return round(self.first + (value - self.low) / width * (self.last - self.first), 1)

    def ticks(self) -> list[float]:
        """Return round values within the axis: multiples of 1, 2 or 5 of some power of ten, five of them or so."""
        rough = (self.high - self.low or 1.0) / TICKS
        power = 10.0 ** floor(log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        return [number * step for number in range(ceil(self.low / step), floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Line:
    """Points joined, under a name."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    is_dashed: bool = False


@dataclass
class Drawing:
    """Marks in the making."""

    height: int
    label: str  # what a screen reader tells
    marks: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        self.marks.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{style}"/>')

    def text(self, x: float, y: float, told: str, anchor: str = "start", style: str = "tick") -> None:
        self.marks.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}" class="{style}">{escape(told)}</text>')

    def dot(self, x: float, y: float, colour: int, hint: str, radius: float = 4.5) -> None:
        self.marks.append(
            f'<circle cx="{x}" cy="{y}" r="{radius}" class="c{colour % COLOURS}"><title>{escape(hint)}</title></circle>'
        )

    def path(self, points: Sequence[tuple[float, float]], colour: int, is_dashed: bool) -> None:
        joined = " ".join(f"{x},{y}" for x, y in points)
        self.marks.append(f'<polyline points="{joined}" class="s{colour % COLOURS}{" dashed" if is_dashed else ""}"/>')

    def render(self) -> str:
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self.label, quote=True)}">'
            f"{''.join(self.marks)}</svg>"
        )


@dataclass(frozen=True)
class Bar:
    """A value with its interval, in a row of its own; `hint` is shown on hovering."""

    value: float
    low: float
    high: float
    colour: int
    hint: str


def intervals(rows: Sequence[tuple[str, Bar]], x_name: str, label: str) -> str:
    """Draw one row for each bar: a dot, its interval as a line, its name to the left."""
    return grouped_dots([(name, [bar]) for name, bar in rows], x_name, label)


def grouped_dots(rows: Sequence[tuple[str, Sequence[Bar]]], x_name: str, label: str) -> str:
    """Draw one row for each group, its bars a little apart."""
    step = 12
    heights = [max(28, step * len(bars) + 12) for _, bars in rows]
    drawing = Drawing(TOP + sum(heights) + BOTTOM, label)
    bars = [bar for _, group in rows for bar in group]
    low, high = _padded(min((bar.low for bar in bars), default=0.0), max((bar.high for bar in bars), default=1.0))
    x = Scale(max(low, 0.0), high, LEFT, WIDTH - RIGHT)
    _x_axis(drawing, x, x_name)
    y = float(TOP)
    for (name, group), height in zip(rows, heights, strict=True):
        middle = y + height / 2
        drawing.text(LEFT - 12, middle + 4, name, "end", "name")
        for place, bar in enumerate(group):
            at = round(middle + (place - (len(group) - 1) / 2) * step, 1)
            drawing.line(x(bar.low), at, x(bar.high), at, f"s{bar.colour % COLOURS}")
            drawing.dot(x(bar.value), at, bar.colour, bar.hint)
        y += height
    return drawing.render()


def lines(every_line: Sequence[Line], x_name: str, y_name: str, label: str, has_diagonal: bool = False) -> str:
    """Draw lines over a common frame, from 0 to the largest value on both axes where there is a diagonal."""
    drawing = Drawing(380, label)
    x_values = [x for line in every_line for x, _ in line.points] or [0.0, 1.0]
    y_values = [y for line in every_line for _, y in line.points] or [0.0, 1.0]
    if has_diagonal:
        x_low, x_high = y_low, y_high = 0.0, min(1.0, 1.05 * max(*x_values, *y_values))
    else:
        (x_low, x_high), (y_low, y_high) = (min(x_values), max(x_values)), _padded(min(y_values), max(y_values))
    x = Scale(x_low, x_high, 70, WIDTH - RIGHT)
    y = Scale(y_low, y_high, drawing.height - BOTTOM, TOP)
    _x_axis(drawing, x, x_name)
    for tick in y.ticks():
        drawing.line(70, y(tick), WIDTH - RIGHT, y(tick), "grid")
        drawing.text(62, y(tick) + 4, _number(tick), "end")
    drawing.text(70, TOP + 12, y_name, "start", "axis")
    if has_diagonal:
        drawing.line(x(x_low), y(y_low), x(x_high), y(y_high), "diagonal")
    for line in every_line:
        placed = [(x(at), y(value)) for at, value in line.points]
        drawing.path(placed, line.colour, line.is_dashed)
        for (at, value), (shown_x, shown_y) in zip(line.points, placed, strict=True):
            drawing.dot(shown_x, shown_y, line.colour, f"{line.name}: {at:.3g}, {value:.3f}", 3)
    return drawing.render()


def _x_axis(drawing: Drawing, x: Scale, name: str) -> None:
    bottom = drawing.height - BOTTOM
    for tick in x.ticks():
        drawing.line(x(tick), TOP, x(tick), bottom, "grid")
        drawing.text(x(tick), bottom + 17, _number(tick), "middle")
    drawing.text((x.first + x.last) / 2, bottom + 36, name, "middle", "axis")


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.08 * (high - low) or 0.05
    return low - room, high + room


def _number(value: float) -> str:
    return f"{value:.3g}"
