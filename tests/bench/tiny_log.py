"""A log of a few lines a day: users visit items, each item every day and always with the same tag."""

import json
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

USERS, VISITS = 9, 4


def line(day: date, user: int, visit: int) -> dict[str, Any]:
    """Return an event of the source `demo`."""
    item = (user + visit) % USERS
    moment = datetime.combine(day, time(8 + user % 5, 7 * visit, item))
    at = f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
    event = {"id": f"{day}-{user}-{visit}", "user": f"u-{user}", "type": "page_view", "item": f"i-{item}"}
    return {**event, "tags": [f"tag-{item % 4}"], "created": at, "sent": at, "received": at}


def lines_of(day: date, users: int = USERS, visits: int = VISITS) -> list[dict[str, Any]]:
    return [line(day, user, visit) for user in range(users) for visit in range(visits)]


def write_lines(file: Path, lines: Iterable[dict[str, Any]]) -> Path:
    """Write a file of JSON lines; return it."""
    file.write_text("".join(f"{json.dumps(one)}\n" for one in lines), encoding="utf-8")
    return file


def write_tiny_log(folder: Path, days: Iterable[date], users: int = USERS, visits: int = VISITS) -> None:
    """Write a file per day."""
    for day in days:
        write_lines(day_file(folder, day), lines_of(day, users, visits))


def day_file(folder: Path, day: date) -> Path:
    return folder / f"events-{day}.jsonl"


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]
