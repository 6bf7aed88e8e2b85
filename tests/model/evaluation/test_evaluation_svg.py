"""The plots: marks lie where the values say, ticks are round, names are escaped."""

import re
from xml.etree import ElementTree

import pytest

from model.evaluation.svg import Bar, Line, Scale, intervals, lines


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.257, 0.573, [0.3, 0.4, 0.5]),
        (1.0, 3.0, [1, 1.5, 2, 2.5, 3]),
        (0.0, 0.012, [0, 0.005, 0.01]),
        (2.0, 2.0, [2]),
    ],
)
def test_ticks_are_round_and_within(low: float, high: float, expected: list[float]) -> None:
    assert Scale(low, high, 0, 100).ticks() == pytest.approx(expected)


def test_a_stronger_contestant_stands_further_right_between_its_ends() -> None:
    bars = [("weak <&", Bar(0.2, 0.1, 0.3, 0, "weak")), ("strong", Bar(0.5, 0.4, 0.6, 1, "strong"))]
    drawn = intervals(bars, "nDCG@10", "a label")
    root = ElementTree.fromstring(drawn)
    dots = [float(dot.attrib["cx"]) for dot in root.iter("circle")]
    spans = [line for line in root.iter("line") if re.fullmatch(r"s\d", line.attrib["class"])]
    assert dots[0] < dots[1]
    for dot, span in zip(dots, spans, strict=True):
        assert float(span.attrib["x1"]) < dot < float(span.attrib["x2"])
    assert [text.text for text in root.iter("text") if text.attrib["class"] == "name"] == ["weak <&", "strong"]


def test_a_line_goes_through_its_points_and_the_diagonal_from_corner_to_corner() -> None:
    root = ElementTree.fromstring(lines([Line("a", [(0.1, 0.1), (0.4, 0.2)], 0)], "x", "y", "l", has_diagonal=True))
    (diagonal,) = (line.attrib for line in root.iter("line") if line.attrib["class"] == "diagonal")
    slope = (float(diagonal["y2"]) - float(diagonal["y1"])) / (float(diagonal["x2"]) - float(diagonal["x1"]))
    first, second = (
        (float(dot.attrib["cx"]) - float(diagonal["x1"]), float(dot.attrib["cy"]) - float(diagonal["y1"]))
        for dot in root.iter("circle")
    )
    assert first[1] == pytest.approx(slope * first[0], abs=0.2)  # on the diagonal
    assert second[1] > slope * second[0]  # below it, as y grows downwards
