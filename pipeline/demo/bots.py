"""Bots: crawlers that name themselves, and scrapers that pass for people."""

from dataclasses import dataclass

import numpy as np

from pipeline.demo.catalogue import CRAWLERS, Catalogue
from pipeline.demo.people import Device, make_devices
from pipeline.demo.plan import DAY_MS, HOUR_MS, DemoPlan, Floats
from pipeline.demo.visits import VIEW, Touches

CRAWLER_HITS_PER_DAY = 35
USERS_PER_SCRAPER = 750  # one scraper for so many people, and at least two
SCRAPER_ACTIVE_DAYS = 4
# How a scraper can be detected: even gaps, no sleep at night, more views than a person can read.
PACES = ("even", "sleepless", "hasty")


@dataclass(frozen=True)
class Bot:
    """A bot. user: None for a crawler, which never logs in."""

    user: str | None
    device: Device
    pace: str

    @property
    def is_declared(self) -> bool:
        return self.pace == "crawler"


def make_bots(plan: DemoPlan) -> list[Bot]:
    """Make one bot per user agent in CRAWLERS, and a few scrapers that log in and send a browser's user agent."""
    rng = plan.rng("bots")
    crawlers = [Bot(None, make_devices(rng, 1, user_agent)[0], "crawler") for user_agent in CRAWLERS]
    scrapers = max(2, plan.users // USERS_PER_SCRAPER)
    names = rng.choice(90_000, size=scrapers, replace=False) + 10_000  # five digits: no person has such a name
    return crawlers + [
        Bot(f"u-{name}", make_devices(rng, 1)[0], PACES[number % len(PACES)]) for number, name in enumerate(names)
    ]


def make_bot_touches(
    plan: DemoPlan, catalogue: Catalogue, bots: list[Bot], first_actor: int, first_visit: int
) -> Touches:
    """Return the hits of all bots. A day of a bot is one visit, which views the catalogue in order."""
    rng = plan.rng("bot touches")
    days = [
        (actor, plan.start_ms + day * DAY_MS + _hits_ms(rng, bot.pace))
        for actor, bot in enumerate(bots, first_actor)
        for day in _active_days(rng, plan, bot)
    ]
    lengths = np.array([len(hits_ms) for _, hits_ms in days])
    place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    first_item = np.repeat(rng.integers(0, len(catalogue.titles), len(days)), lengths)
    nothing = np.full(len(place), -1)
    return Touches(
        actor=np.repeat(np.array([actor for actor, _ in days]), lengths),
        visit=np.repeat(np.arange(first_visit, first_visit + len(days)), lengths),
        place=place,
        at_ms=np.concatenate([hits_ms for _, hits_ms in days]).astype(np.int64),
        kind=np.full(len(place), VIEW),
        item=(first_item + place) % len(catalogue.titles),
        tag=nothing,
        device=np.zeros(len(place), dtype=np.int64),
        dwell_seconds=np.round(rng.uniform(0.1, 0.9, len(place)), 1),
    )


def _active_days(rng: np.random.Generator, plan: DemoPlan, bot: Bot) -> list[int]:
    if bot.is_declared:
        return list(range(plan.days))
    return sorted(int(day) for day in rng.choice(plan.days, size=SCRAPER_ACTIVE_DAYS, replace=False))


def _hits_ms(rng: np.random.Generator, pace: str) -> Floats:
    """Return the times of one day's hits, in milliseconds since its start, in order."""
    if pace == "even":
        return rng.uniform(0, 18) * HOUR_MS + np.cumsum(rng.uniform(8_700, 9_300, 2_000))
    if pace == "sleepless":
        return np.sort(rng.uniform(0, DAY_MS, 1_200))
    if pace == "hasty":
        return rng.uniform(0, 20) * HOUR_MS + np.cumsum(rng.exponential(3_000, 1_600))
    return np.sort(rng.uniform(0, DAY_MS, rng.poisson(CRAWLER_HITS_PER_DAY)))
