"""What a page shows in a real Chromium: wide and narrow, light and dark."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

WIDTHS = (1280, 390)  # a laptop and a phone
SCHEMES = ("light", "dark")
# Set by a script of the data, if one ever ran.
HOSTILE = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
MEASURE = """() => {
    const sizeOf = (element) => element.getBoundingClientRect();
    const marksOf = "[aria-roledescription$=mark], .mark-rect path, .mark-symbol path";
    return {
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        charts: [...document.querySelectorAll("[role=img]")].map((chart) => [
            chart.getAttribute("aria-label"),
            Math.max(0, ...[...chart.querySelectorAll("svg")].map((svg) => sizeOf(svg).height)),
            [...chart.querySelectorAll(marksOf)].filter((mark) => sizeOf(mark).width + sizeOf(mark).height).length,
        ]),
        elements: document.querySelectorAll("script, img, iframe, object, embed, link").length,
        ran: window.ran || 0,
        page: getComputedStyle(document.body).backgroundColor,
        ink: getComputedStyle(document.body).color,
    };
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the installed Chromium for the block; skip the test where there is none."""
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.skip("no Chromium: `apt-get install chromium` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=["--no-sandbox"])  # root needs it
        try:
            yield browser
        finally:
            browser.close()


def look_at(browser: Any, file: Path) -> tuple[str, list[str]]:
    """Return the text of a page and what is wrong with it: nothing, for a good page.

    Wrong are lines on the console, requests, content wider than the window, a chart that is not drawn, an element that
    loads or runs something, a script of the data that ran, and a page that is the same in the light and in the dark.
    """
    wrong: list[str] = []
    text, grounds = "", set()
    for width, scheme in product(WIDTHS, SCHEMES):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        found: list[str] = []
        page.on("console", partial(_note, found, "console"))
        page.on("pageerror", partial(_note, found, "error"))
        page.on("request", partial(_note, found, "request"))
        page.goto(file.as_uri())
        for details in page.query_selector_all("details > summary"):
            details.click()
        seen = page.evaluate(MEASURE)
        found.remove(f"request: {file.as_uri()}")
        found += [f"{seen['overflow']} pixels too wide"] if seen["overflow"] > 0 else []
        found += [f"no chart {name!r}" for name, height, marks in seen["charts"] if height < 50 or not marks]
        found += [f"{seen['elements']} elements that load or run something"] if seen["elements"] else []
        found += ["a script of the data ran"] if seen["ran"] else []
        wrong += [f"{file.name} at {width} pixels, {scheme}: {one}" for one in found]
        grounds.add((seen["page"], seen["ink"]))
        text = page.inner_text("body")
        page.close()
    if len(grounds) != len(SCHEMES):
        wrong.append(f"{file.name}: light and dark look the same: {grounds}")
    return text, wrong


def _note(found: list[str], kind: str, event: Any) -> None:
    found.append(f"{kind}: {getattr(event, 'url', '') or getattr(event, 'text', '') or event}")
