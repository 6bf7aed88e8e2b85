"""When people visit, the interest that each visit is about, and the events of each visit as they happened."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pipeline.demo.catalogue import ITEMS_PER_TAG, Catalogue, rank_shares
from pipeline.demo.people import ALWAYS, Interest, Person
from pipeline.demo.plan import DAY_MS, HOUR_MS, DemoPlan, Flags, Floats, Ints

# Visits by the hour of the day (UTC), and by weekday from Monday on.
HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 8, 8, 8, 9, 11, 10, 8, 8, 8, 9, 11, 14, 16, 15, 10, 5)
WEEKDAYS = (0.95, 0.9, 0.9, 0.95, 1.0, 1.1, 1.2)
# By its number a tag has one of three rhythms: equal on all days, higher at weekends, higher on working days.
RHYTHMS = ((1.0,) * 7, (0.6,) * 5 + (2.0,) * 2, (1.25,) * 5 + (0.4,) * 2)

IN_ORDER_SHARE = 0.45  # of visits about the next interest, in order of tags, after that of the visit before
SAME_AGAIN = 0.5  # factor on the weight of the interest of the visit before
SEARCH_FIRST_SHARE = 0.3
EARLY_DAYS, EARLY_SEARCH_SHARE = 7, 0.5  # a new interest is searched for on the days before it begins

KINDS = ("page_view", "search", "like", "add_to_cart", "share", "purchase")
VIEW, SEARCH = 0, 1
ACTIONS = (2, 3, 4, 5)  # each is about the item viewed before
ACTION_SHARES = (0.45, 0.33, 0.1, 0.12)

EVENTS_PER_VISIT, MOST_EVENTS_PER_VISIT = 5.8, 40
ACTION_SHARE = 0.13
LATER_SEARCH_SHARE = 0.04
NOISE_SHARE = 0.18  # of items that are chosen by popularity alone
GAP_SECONDS, GAP_SPREAD = 40.0, 1.2  # median, standard deviation of the logarithm
LONGEST_GAP_SECONDS = 25 * 60.0  # a visit stays one session
DWELL_SECONDS, NOISE_DWELL_SECONDS = 35.0, 15.0


@dataclass(frozen=True)
class Visits:
    """One entry per visit, in order of person and time.

    start_ms: since 1970. tag: the interest of the visit. searched: the tag of a first search, else -1.
    device: 0 or 1, an index into the person's devices.
    """

    person: Ints
    start_ms: Ints
    tag: Ints
    searched: Ints
    device: Ints


def rhythm(tag: int, weekday: int) -> float:
    """Return the factor of a weekday on the weight of a tag."""
    return RHYTHMS[tag % len(RHYTHMS)][weekday]


def plan_visits(plan: DemoPlan, people: Sequence[Person]) -> Visits:
    """Return the visits of all people within the days of the log."""
    rng = plan.rng("visits")
    parts = [_visits_of(rng, plan, number, person) for number, person in enumerate(people)]
    person, start_ms, tag, searched, device = np.concatenate(parts, axis=1)
    return Visits(person, start_ms, tag, searched, device)


def _visits_of(rng: np.random.Generator, plan: DemoPlan, number: int, person: Person) -> Ints:
    """Return an array of five rows, the fields of Visits."""
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
    weight = {one.tag: one.weight_on(day) * rhythm(one.tag, weekday) for one in interests if one.weight_on(day) > 0}
    tags = sorted(weight)
    if before in weight and rng.random() < IN_ORDER_SHARE:
        return tags[(tags.index(before) + 1) % len(tags)]
    weights = [weight[tag] * (SAME_AGAIN if tag == before else 1.0) for tag in tags]
    place = int(np.searchsorted(np.cumsum(weights), rng.random() * sum(weights), side="right"))
    return tags[min(place, len(tags) - 1)]


def _choose_search(rng: np.random.Generator, interests: Sequence[Interest], day: int, tag: int) -> int:
    coming = [one.tag for one in interests if one.first_day > ALWAYS and 0 < one.first_day - day <= EARLY_DAYS]
    if coming and rng.random() < EARLY_SEARCH_SHARE:
        return coming[0]
    return tag if rng.random() < SEARCH_FIRST_SHARE else -1


@dataclass(frozen=True)
class Touches:
    """One entry per event.

    actor: index into the actors, people first, then bots. visit: unique over all actors. place: position in the visit,
    from 0. kind: index into KINDS. item: -1 for a search. tag: that of a search, else -1. device: index into the
    actor's devices. dwell_seconds: NaN except for views.
    """

    actor: Ints
    visit: Ints
    place: Ints
    at_ms: Ints
    kind: Ints
    item: Ints
    tag: Ints
    device: Ints
    dwell_seconds: Floats

    def __len__(self) -> int:
        return len(self.actor)

    def where(self, chosen: Flags) -> "Touches":
        """Return the chosen events, in the same order."""
        return Touches(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def join_touches(first: Touches, second: Touches) -> Touches:
    """Return the events of both. Their visits must have different numbers."""
    return Touches(
        **{
            field.name: np.concatenate([getattr(first, field.name), getattr(second, field.name)])
            for field in fields(Touches)
        }
    )


def make_touches(plan: DemoPlan, catalogue: Catalogue, visits: Visits) -> Touches:
    """Make the events of the visits. Most are about the interest of the visit, some about popular items."""
    rng = plan.rng("behaviour")
    lengths = np.minimum(rng.geometric(1 / EVENTS_PER_VISIT, len(visits.person)), MOST_EVENTS_PER_VISIT)
    visit = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(visit)) - np.repeat(np.cumsum(lengths) - lengths, lengths)

    kind = _kinds(rng, place, is_searched=(place == 0) & (visits.searched[visit] >= 0))
    is_noise = rng.random(len(visit)) < NOISE_SHARE
    item = np.where(is_noise, _popular_items(rng, catalogue, len(visit)), _items_of(rng, catalogue, visits.tag[visit]))
    viewed = _latest(~np.isin(kind, ACTIONS))
    kind[np.isin(kind, ACTIONS) & (kind[viewed] == SEARCH)] = VIEW
    is_action = np.isin(kind, ACTIONS)
    is_search = kind == SEARCH
    item = np.where(is_search, -1, np.where(is_action, item[viewed], item))

    searched = np.where((place == 0) & (visits.searched[visit] >= 0), visits.searched[visit], visits.tag[visit])
    dwell = rng.lognormal(np.log(np.where(is_noise, NOISE_DWELL_SECONDS, DWELL_SECONDS)), 0.9)
    return Touches(
        actor=visits.person[visit],
        visit=visit,
        place=place,
        at_ms=visits.start_ms[visit] + _ms_since_start(rng, visit, place),
        kind=kind,
        item=item,
        tag=np.where(is_search, searched, -1),
        device=visits.device[visit],
        dwell_seconds=np.where(kind == VIEW, np.round(dwell, 1), np.nan),
    )


def _kinds(rng: np.random.Generator, place: Ints, is_searched: Flags) -> Ints:
    chance = rng.random(len(place))
    action = rng.choice(ACTIONS, size=len(place), p=ACTION_SHARES)
    later = np.where(chance < ACTION_SHARE, action, np.where(chance < ACTION_SHARE + LATER_SEARCH_SHARE, SEARCH, VIEW))
    return np.where(place > 0, later, np.where(is_searched, SEARCH, VIEW)).astype(np.int64)


def _items_of(rng: np.random.Generator, catalogue: Catalogue, tag: Ints) -> Ints:
    rank = rng.choice(ITEMS_PER_TAG, size=len(tag), p=rank_shares(ITEMS_PER_TAG))
    return catalogue.items_by_tag[tag, rank]


def _popular_items(rng: np.random.Generator, catalogue: Catalogue, count: int) -> Ints:
    shares = catalogue.item_popularity
    return rng.choice(len(shares), size=count, p=shares).astype(np.int64)


def _latest(is_base: Flags) -> Ints:
    """Return for each event the index of the latest base event up to it. Each visit begins with one."""
    latest: Ints = np.maximum.accumulate(np.where(is_base, np.arange(len(is_base)), 0))
    return latest


def _ms_since_start(rng: np.random.Generator, visit: Ints, place: Ints) -> Ints:
    gap_seconds = np.clip(rng.lognormal(np.log(GAP_SECONDS), GAP_SPREAD, len(visit)), 1.0, LONGEST_GAP_SECONDS)
    passed_ms = np.cumsum(np.where(place > 0, gap_seconds * 1_000, 0.0))
    since_start_ms: Ints = (passed_ms - passed_ms[np.flatnonzero(place == 0)][visit]).astype(np.int64)
    return since_start_ms
