"""The people who visit the demo's shop: their interests, how these change, and how often each person comes."""

from dataclasses import dataclass

import numpy as np

from pipeline.demo.catalogue import BROWSERS, NETWORKS, THEME_SIZE, Catalogue, next_in_theme
from pipeline.demo.plan import DemoPlan, Floats, Ints

INTEREST_COUNTS = (2, 3, 4)
INTEREST_COUNT_SHARES = (0.3, 0.45, 0.25)
WEIGHTS_BY_RANK = (1.0, 0.7, 0.5, 0.38)
DRIFT_SHARES = (0.3, 0.4, 0.3)  # of people whose interests change never, once, twice
DRIFT_BETWEEN = (0.2, 0.85)  # of the days of the log
FOLLOWS_THEME_SHARE = 0.75  # of new interests that are the next in the theme of one held before
RISE_DAYS, FADE_DAYS = 4, 3

SESSIONS_PER_DAY = 0.51  # on average, of a person who is there all the time
ACTIVITY_SPREAD = 0.8  # standard deviation of the logarithm
MOST_SESSIONS_PER_DAY = 3.0
NEWCOMER_SHARE, LEAVER_SHARE = 0.2, 0.08
NO_CONSENT_SHARE = 0.01
SECOND_DEVICE_SHARE = 0.35

ALWAYS, NEVER = -(10**6), 10**6  # days before and after every log


@dataclass(frozen=True)
class Interest:
    """A tag and its weight from `first_day` to `last_day`, both included, counted from the first day of the log."""

    tag: int
    weight: float
    first_day: int = ALWAYS
    last_day: int = NEVER

    def weight_on(self, day: int) -> float:
        """Return the weight on a day: it rises and fades within days, and is 0 outside the interest's time."""
        if not self.first_day <= day <= self.last_day:
            return 0.0
        return self.weight * min(1.0, (day - self.first_day + 1) / RISE_DAYS, (self.last_day - day + 1) / FADE_DAYS)


@dataclass(frozen=True)
class Device:
    """What a browser sends with every event."""

    name: str
    user_agent: str
    ip: str


@dataclass(frozen=True)
class Person:
    """A visitor with an account."""

    user: str
    devices: tuple[Device, ...]
    interests: tuple[Interest, ...]  # past ones included
    sessions_per_day: float
    first_day: int
    last_day: int
    consents: bool


def make_people(plan: DemoPlan, catalogue: Catalogue) -> list[Person]:
    """Make `plan.users` people. Activity is skewed, some people join or leave, most change their interests."""
    rng = plan.rng("people")
    names = rng.choice(900_000, size=plan.users, replace=False) + 100_000
    spread = rng.lognormal(-(ACTIVITY_SPREAD**2) / 2, ACTIVITY_SPREAD, plan.users)
    activity = np.minimum(SESSIONS_PER_DAY * spread, MOST_SESSIONS_PER_DAY)
    return [
        Person(
            user=f"u-{names[number]}",
            devices=make_devices(rng, 2 if rng.random() < SECOND_DEVICE_SHARE else 1),
            interests=_drift(rng, plan, catalogue.tag_popularity, _first_interests(rng, catalogue.tag_popularity)),
            sessions_per_day=float(activity[number]),
            first_day=int(rng.integers(1, plan.days)) if rng.random() < NEWCOMER_SHARE else 0,
            last_day=int(rng.integers(plan.days // 3, plan.days)) if rng.random() < LEAVER_SHARE else plan.days - 1,
            consents=bool(rng.random() >= NO_CONSENT_SHARE),
        )
        for number in range(plan.users)
    ]


def make_devices(rng: np.random.Generator, count: int, user_agent: str | None = None) -> tuple[Device, ...]:
    """Return devices with unique ids. user_agent: that of a random browser by default."""
    return tuple(
        Device(
            name=f"d-{rng.bytes(6).hex()}",
            user_agent=user_agent or BROWSERS[rng.integers(len(BROWSERS))],
            ip=f"{NETWORKS[rng.integers(len(NETWORKS))]}.{rng.integers(1, 255)}",
        )
        for _ in range(count)
    )


def _first_interests(rng: np.random.Generator, popularity: Floats) -> tuple[Interest, ...]:
    count = int(rng.choice(INTEREST_COUNTS, p=INTEREST_COUNT_SHARES))
    by_taste: Ints = rng.choice(len(popularity), size=len(popularity), replace=False, p=popularity)
    _, places = np.unique(by_taste // THEME_SIZE, return_index=True)
    tags = by_taste[np.sort(places)[:count]]  # of one theme each
    return tuple(
        Interest(int(tag), weight * float(rng.uniform(0.85, 1.15)))
        for tag, weight in zip(tags, WEIGHTS_BY_RANK, strict=False)
    )


def _drift(
    rng: np.random.Generator, plan: DemoPlan, popularity: Floats, interests: tuple[Interest, ...]
) -> tuple[Interest, ...]:
    """End some interests and begin others, which mostly follow in the theme of a current one."""
    earliest, latest = (round(share * plan.days) for share in DRIFT_BETWEEN)
    times = int(rng.choice(len(DRIFT_SHARES), p=DRIFT_SHARES))
    for day in sorted(int(one) for one in rng.choice(np.arange(earliest, latest), size=times, replace=False)):
        held = [place for place, interest in enumerate(interests) if interest.last_day == NEVER]
        ending = held[rng.integers(len(held))]
        leading = interests[held[rng.integers(len(held))]].tag
        follows = rng.random() < FOLLOWS_THEME_SHARE
        tag = next_in_theme(leading) if follows else int(rng.choice(len(popularity), p=popularity))
        if tag in {interest.tag for interest in interests}:
            continue
        old = interests[ending]
        ended = Interest(old.tag, old.weight, old.first_day, day - 1)
        begun = Interest(tag, old.weight * float(rng.uniform(0.9, 1.3)), day)
        interests = (*interests[:ending], ended, *interests[ending + 1 :], begun)
    return interests
