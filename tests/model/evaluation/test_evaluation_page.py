"""The page: every model and figure is in it, names are escaped, and it needs no other file."""

import re
import subprocess
import sys
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from typing import Any

import pytest

from model.data.cutoffs import Cutoffs
from model.data.folds import Histories
from model.evaluation.backtest import Evaluation, evaluate
from model.evaluation.entrants import PretrainedCounts
from model.evaluation.page import render_page
from model.evaluation.report import Configuration, configuration
from model.evaluation.returning import CountsReturning
from model.evaluation.tables import rows

MARKUP = "<b>bold</b> & co"


@pytest.fixture(scope="module")
def outcome(known: Histories, windows: Cutoffs, decayed: Callable[..., Any]) -> Evaluation:
    families = {
        MARKUP: [decayed(8.0, predicts_probabilities=True)],
        "no memory": [decayed(0.01)],
    }
    return evaluate(known, windows, families, [PretrainedCounts()], {"counts-1": [CountsReturning()]})


@pytest.fixture(scope="module")
def settings(windows: Cutoffs) -> Configuration:
    return configuration(windows, 42, {}, [PretrainedCounts()], ["counts-1"])


@pytest.fixture(scope="module")
def html(outcome: Evaluation, settings: Configuration) -> str:
    return render_page(outcome, settings)


class Tags(HTMLParser):
    """Checks that each tag is closed, and collects the tags and what a browser would fetch."""

    void = frozenset({"meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.fetched: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.fetched += [f"{name}={value}" for name, value in attrs if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_model_and_every_figure_is_on_the_page(outcome: Evaluation, settings: Configuration, html: str) -> None:
    for name, *figures in rows(outcome):
        assert all(f"<td>{escape(figure)}</td>" in html for figure in figures)
        assert html.count(f"<td>{escape(name)}</td>") >= 3  # the three tables
        assert html.count(f">{escape(name)}</text>") >= 3  # ranking, cohorts, repeated and new tags
    assert "nan" not in html
    assert settings.hash in html


def test_each_chart_and_table_has_a_caption(html: str) -> None:
    tags = Tags(html)
    assert tags.open == []
    assert tags.seen.count("figure") == tags.seen.count("figcaption") == 6
    assert tags.seen.count("svg") == 4
    assert "after calibration" in html


def test_the_page_fetches_nothing(html: str) -> None:
    tags = Tags(html)
    assert tags.fetched == []
    assert not {"script", "link", "iframe", "img", "image"} & set(tags.seen)
    assert "http" not in re.sub(r' xmlns(:xlink)?="[^"]*"', "", html)  # the names of SVG's namespaces are no addresses
    assert "@import" not in html and "@font-face" not in html


def test_markup_in_a_name_is_escaped(html: str) -> None:
    assert "<b>" not in html and "</b>" not in html
    assert escape(MARKUP) in html


def test_the_charts_take_the_text_colour_of_a_light_and_of_a_dark_page(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    fills = set(re.findall(r'<text [^>]*fill="([^"]*)"', html))
    assert fills == {"currentColor"}


def test_a_page_of_one_model_compares_it_with_no_other(
    known: Histories, windows: Cutoffs, settings: Configuration
) -> None:
    html = render_page(evaluate(known, windows, {}, [PretrainedCounts()]), settings)
    assert "counts-1 ranks best" in html and "Its lead" not in html
    assert "of 0 other" not in html and "Which users return" not in html


def test_scoring_does_not_import_the_plotting_library() -> None:
    loaded = "import sys, model.__main__, model.scoring; print({'altair', 'vl_convert', 'jinja2'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
