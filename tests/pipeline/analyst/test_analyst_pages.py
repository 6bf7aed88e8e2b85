"""Pages in a real Chromium: the report of a busy and of an empty day, their index, the dictionary, a user explained."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.analyst.dictionary import write_dictionary
from pipeline.analyst.explain_page import write_explanation
from pipeline.analyst.report.page import PARTS, write_report
from tests.browser import HOSTILE, chromium, look_at
from tests.pipeline.analyst.conftest import DAY, Warehouse, at, empty_warehouse, interest, write_night

EMPTY = DAY + timedelta(days=1)
USER = f"user {HOSTILE}"
TAGS = (f"tag {HOSTILE}", "jazz", "a-long-tag-" + "x" * 200)
TITLE = f"title {HOSTILE}"
REASON = f"reason {HOSTILE}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all pages, of a warehouse whose texts hold HTML and scripts."""
    warehouse = busy_warehouse(tmp_path_factory.mktemp("busy"))
    folder = warehouse.folder / "reports"
    for day in (DAY, EMPTY):
        write_report(warehouse.catalog, day, folder)
    write_dictionary(folder / "dictionary.html")
    write_explanation(warehouse.catalog, USER, folder).rename(folder / "user.html")
    return folder


def busy_warehouse(folder: Path) -> Warehouse:
    """Return nine nights of 12 users, the last one empty, published each on its day."""
    warehouse = empty_warehouse(folder)
    write_night(warehouse)
    days = [DAY - timedelta(days=back) for back in range(8, -1, -1)]
    for day in days:
        warehouse.append("runs", {"step": "sessions", "day": day, "seconds": 2.5})
        warehouse.append("profiles", *[profile(user, day) for user in range(12)])
        warehouse.publish(day)
    shop = {"source": "shop"}
    item = {"event_type": "view", "item_space": "shop", "item_id": TITLE}
    all_events, sessions = [], []
    for user in range(12):
        own, moment = {**shop, "user_id": user_id(user)}, at(f"{DAY}T{2 * user:02}:00")
        lines = range(100 + 10 * user, 103 + 10 * user)
        keys = [{"arrival_day": DAY, "file": "log", "line": line, "part": 1} for line in lines]
        events = [{**key, **item, "event_id": f"e{key['line']}", "event_at": moment} for key in keys]
        known = {"bot_class": "human", "known_on": DAY}
        all_events += [{**event, **own, **known, "tags": [TAGS[(user + event["line"]) % 3]]} for event in events]
        session = {"session_id": f"s{user}", "events": events, "event_count": 3, "is_counted": True}
        sessions.append({**own, **session, "started_at": moment, "started_on": DAY})
    warehouse.append("events", *all_events)
    warehouse.append("sessions", *sessions)
    warehouse.append("items", {"space": "shop", "item_id": TITLE, "title": TITLE, "tags": [TAGS[0]]})
    warehouse.append("rejects", {"source": "shop", "file": "log", "line": 9, "reason": REASON, "detail": HOSTILE})
    warehouse.publish(DAY)
    warehouse.append("runs", {"step": "clean", "day": EMPTY, "source": "", "rows_out": {}})
    warehouse.publish(EMPTY)
    return warehouse


def user_id(number: int) -> str:
    return USER if number == 0 else f"{number:064x}"


def profile(user: int, day: date) -> dict[str, Any]:
    moved = day.day % 3 / 10
    interests = [
        interest(tag, 0.7 - 0.2 * rank - moved / 2, rank + 1, trend=moved, evidence=[f"s{user}"])
        for rank, tag in enumerate(TAGS[(user + day.day) % 3 :] + TAGS[: (user + day.day) % 3])
    ]
    return {
        "user_id": user_id(user), "as_of": day, "horizon_days": 7, "interests": interests, "cohort": "1",
        "model_version": "counts-1", "event_count": 3, "session_count": 1, "return_probability": 0.5,
        "top_items": [{"item_id": TITLE, "title": TITLE, "score": 0.9, "reason": "interest", "reason_tag": TITLE}],
    }  # fmt: skip


@pytest.mark.parametrize("name", [str(DAY), str(EMPTY), "index", "dictionary", "user"])
def test_a_page_is_whole_wide_and_narrow_light_and_dark(browser: Any, pages: Path, name: str) -> None:
    text, wrong = look_at(browser, pages / f"{name}.html")
    assert wrong == []
    assert len(text) > 10


def test_the_busy_day_draws_every_chart(browser: Any, pages: Path) -> None:
    page = browser.new_page()
    page.goto((pages / f"{DAY}.html").as_uri())
    drawn = page.eval_on_selector_all("[role=img]", "charts => charts.map(chart => chart.getAttribute('aria-label'))")
    assert drawn == [part.heading for part in PARTS if part.chart]
    page.close()


def test_texts_of_the_data_come_out_as_texts(browser: Any, pages: Path) -> None:
    """The test of whole pages says if one became an element or ran."""
    page = browser.new_page()
    shown = {}
    for name in (str(DAY), "user"):
        page.goto((pages / f"{name}.html").as_uri())
        page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")
        shown[name] = page.inner_text("body")
    page.close()
    assert REASON in shown[str(DAY)] and TAGS[0][:60] in shown[str(DAY)]
    assert USER in shown["user"] and TAGS[0] in shown["user"] and TITLE in shown["user"]


def test_the_index_leads_to_the_nights(browser: Any, pages: Path) -> None:
    page = browser.new_page()
    page.goto((pages / "index.html").as_uri())
    for day in (EMPTY, DAY):
        page.click(f"text={day}")
        assert page.title() == f"Night of {day}"
        page.click("text=All nights")
    page.close()
