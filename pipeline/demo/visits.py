"""When people come, and which of their interests each visit is about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.demo.people import ALWAYS, Interest, Person
from pipeline.demo.plan import DAY_MS, HOUR_MS, DemoPlan, Ints

# Visits by the hour of the day (UTC), and by weekday from Monday on.
HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 8, 8, 8, 9, 11, 10, 8, 8, 8, 9, 11, 14, 16, 15, 10, 5)
WEEKDAYS = (0.95, 0.9, 0.9, 0.95, 1.0, 1.1, 1.2)
# A tag belongs to one of three rhythms, by its number: all week alike, for weekends, for working days.
RHYTHMS = ((1.0,) * 7, (0.6,) * 5 + (2.0,) * 2, (1.25,) * 5 + (0.4,) * 2)

IN_ORDER_SHARE = 0.45  # of visits that are about the interest after that of the visit before, by number of tag
SAME_AGAIN = 0.5  # how much less a visit is about the same interest as the one before
SEARCH_FIRST_SHARE = 0.3
EARLY_DAYS, EARLY_SEARCH_SHARE = 7, 0.5  # a new interest is searched for on the days before it begins


@dataclass(frozen=True)
class Visits:
    """One entry per visit, in order of person and time.

    start_ms: since 1970. tag: the interest it is about. searched: the tag that is searched for first, else -1.
    device: 0 or 1, one of the person's.
    """

    person: Ints
    start_ms: Ints
    tag: Ints
    searched: Ints
    device: Ints


def rhythm(tag: int, weekday: int) -> float:
    """Return by how much a tag is sought more (above 1) or less on a weekday."""
    return RHYTHMS[tag % len(RHYTHMS)][weekday]


def plan_visits(plan: DemoPlan, people: Sequence[Person]) -> Visits:
    """Return the visits of all people within the days of the log."""
    rng = plan.rng("visits")
    parts = [_visits_of(rng, plan, number, person) for number, person in enumerate(people)]
    person, start_ms, tag, searched, device = np.concatenate(parts, axis=1)
    return Visits(person, start_ms, tag, searched, device)


def _visits_of(rng: np.random.Generator, plan: DemoPlan, number: int, person: Person) -> Ints:
    """Return an array of five rows: those of Visits."""
    days = np.arange(person.first_day, person.last_day + 1)
    rates = person.sessions_per_day * np.array([WEEKDAYS[plan.weekday(int(day))] for day in days])
    day_of_visit = np.repeat(days, rng.poisson(rates)) if len(days) else days
    hours = rng.choice(len(HOURS), size=len(day_of_visit), p=np.array(HOURS) / sum(HOURS))
    minutes_ms = rng.integers(0, HOUR_MS, len(day_of_visit))
    start_ms = np.sort(plan.start_ms + day_of_visit * DAY_MS + hours * HOUR_MS + minutes_ms)

    tags: list[int] = []
    searched: list[int] = []
    for day in day_of_visit.tolist():
        tag = _choose_interest(rng, person.interests, day, plan.weekday(day), tags[-1] if tags else None)
        tags.append(tag)
        searched.append(_choose_search(rng, person.interests, day, tag))
    device = rng.integers(0, len(person.devices), len(tags))
    owner = np.full(len(tags), number)
    return np.stack([owner, start_ms, np.array(tags, dtype=np.int64), np.array(searched, dtype=np.int64), device])


def _choose_interest(
    rng: np.random.Generator, interests: Sequence[Interest], day: int, weekday: int, before: int | None
) -> int:
    strength = {one.tag: one.strength(day) * rhythm(one.tag, weekday) for one in interests if one.strength(day) > 0}
    tags = sorted(strength)
    if before in strength and rng.random() < IN_ORDER_SHARE:
        return tags[(tags.index(before) + 1) % len(tags)]
    weights = [strength[tag] * (SAME_AGAIN if tag == before else 1.0) for tag in tags]
    place = int(np.searchsorted(np.cumsum(weights), rng.random() * sum(weights), side="right"))
    return tags[min(place, len(tags) - 1)]


def _choose_search(rng: np.random.Generator, interests: Sequence[Interest], day: int, tag: int) -> int:
    coming = [one.tag for one in interests if one.first_day > ALWAYS and 0 < one.first_day - day <= EARLY_DAYS]
    if coming and rng.random() < EARLY_SEARCH_SHARE:
        return coming[0]
    return tag if rng.random() < SEARCH_FIRST_SHARE else -1
