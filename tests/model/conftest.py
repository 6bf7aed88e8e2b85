"""Small logs for the tests of the model: given touch by touch, or drawn from a world whose truth is known."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.counts.model import Counts1, fit_counts_to_history
from model.data.days import HORIZON_DAYS
from model.data.history import history_of
from model.data.sequences import SEQUENCES
from model.data.users import MAX_USERS, sample_users
from tests.remote_stack import bucket_in_s3

LAST_DAY = date(2026, 3, 31)


def rows_of(
    touches: Iterable[tuple[Any, ...]], newest: int = 512, excluded: Mapping[str, list[int]] | None = None
) -> pa.Table:
    """Return the newest row of each user. excluded: by user; by default rows have none, as those of earlier versions.

    A touch: user, ISO time (UTC), tags in one text, and maybe item, weight and action.

    A session is a user's UTC day; its id names both.
    """
    by_user = defaultdict(list)
    for user, at, tags, *rest in touches:
        item, weight, action = (*rest, *(7, 1.0, "view")[len(rest) :])
        moment = at if isinstance(at, datetime) else datetime.fromisoformat(at).replace(tzinfo=UTC)
        by_user[user].append((moment, tags.split(), item, weight, action))
    rows = []
    for user, all_events in by_user.items():
        all_events.sort(key=lambda event: event[0])
        events = all_events[-newest:]
        rows.append(
            {
                "user_id": user,
                "as_of": events[-1][0].date(),
                "item": [item for _, _, item, _, _ in events],
                "tags": [tags for _, tags, _, _, _ in events],
                "action": [action for _, _, _, _, action in events],
                "weight": [weight for _, _, _, weight, _ in events],
                "event_at": [at for at, *_ in events],
                "session_id": [f"{user}:{at.date()}" for at, *_ in events],
                "event_count": len(all_events),
                "first_event_at": all_events[0][0],
                "last_event_at": events[-1][0],
                "excluded_item": excluded.get(user, []) if excluded else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=SEQUENCES)


def fit_counts(known: pa.Table, as_of: date, horizon_days: int = HORIZON_DAYS) -> Counts1:
    """Return counts-1 as of a day. known: newest row of each user as of that day."""
    return fit_counts_to_history(history_of(sample_users(known, MAX_USERS)), as_of, horizon_days)


@dataclass(frozen=True)
class World:
    """Users who touch each tag at a steady rate of their own, so that the truth of an affinity can be calculated."""

    touches: list[tuple[Any, ...]]
    last_day: date
    touches_a_day: dict[str, dict[str, float]]  # by user and tag

    def until(self, day: date) -> pa.Table:
        """Return the newest row of each user as of `day`."""
        end = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
        return rows_of(touch for touch in self.touches if touch[1] < end)

    def truth(self, user: str, tag: str) -> float:
        """Return the probability that the user touches the tag within 7 days."""
        return float(1 - np.exp(-7 * self.touches_a_day[user].get(tag, 0.0)))


def make_world(users: int, days: int, seed: int) -> World:
    random = np.random.default_rng(seed)
    tags = [f"tag{number:02d}" for number in range(40)]
    popularity = 1 / np.arange(1, 41)
    popularity /= popularity.sum()
    first = datetime.combine(LAST_DAY - timedelta(days=days - 1), datetime.min.time(), UTC)
    touches: list[tuple[Any, ...]] = []
    rates = {}
    for number in range(users):
        user = f"user{number:04d}"
        taste = 0.3 * popularity
        taste[random.choice(40, 4, replace=False)] += 0.7 * random.dirichlet(np.ones(4))
        events_a_day = random.gamma(1.0, 1.0) + 0.05
        rates[user] = dict(zip(tags, (events_a_day * taste).tolist(), strict=True))
        for at in np.sort(random.uniform(0, days, max(1, random.poisson(events_a_day * days)))):
            tag = int(random.choice(40, p=taste))
            moment = first + timedelta(seconds=float(at) * 86400)
            touches.append((user, moment, tags[tag], 100 * tag + int(random.integers(5)), 1.0))
    return World(touches, LAST_DAY, rates)


def make_shop(users: int, days: int, seed: int) -> World:
    """Return a world that counts alone cannot tell apart: who buys of a tag is done with it, who views comes back.

    Every user takes up a new tag every third day, touches it twice, and goes on touching it daily unless it was bought.
    """
    random = np.random.default_rng(seed)
    first = datetime.combine(LAST_DAY - timedelta(days=days - 1), datetime.min.time(), UTC)
    touches: list[tuple[Any, ...]] = []
    for number in range(users):
        kept: list[int] = []
        for day in range(days):
            noon = first + timedelta(days=day, hours=12, seconds=int(random.integers(3600)))
            events = [(tag, "view") for tag in kept if random.uniform() < 0.2]
            if random.uniform() < 1 / 3:
                tag, is_bought = int(random.integers(60)), random.uniform() < 0.6
                events += [(tag, "purchase" if is_bought else "view")] * 2
                kept = [*kept, tag][-6:] if not is_bought else kept
            touches += [
                (f"user{number:04d}", noon + timedelta(minutes=place), f"tag{tag:02d}", tag + 1, 1.0, action)
                for place, (tag, action) in enumerate(events)
            ]
    return World(touches, LAST_DAY, {})


@pytest.fixture(scope="session")
def sequences_of() -> Callable[..., pa.Table]:
    return rows_of


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(users=400, days=42, seed=1)


@pytest.fixture(scope="session")
def shop() -> World:
    return make_shop(users=1200, days=35, seed=1)


@pytest.fixture(scope="session")
def long_shop() -> World:
    """A shop of enough weeks that boosting-1 is ahead of counts-1 with room to spare."""
    return make_shop(users=1200, days=63, seed=1)


@pytest.fixture(params=["folder", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder that machines share, of each kind."""
    if request.param == "folder":
        yield str(tmp_path / "shared")
        return
    with bucket_in_s3() as bucket:
        yield f"{bucket}/shared"
