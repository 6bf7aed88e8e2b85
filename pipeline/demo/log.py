"""The whole log in memory: actors (people first, then bots) with their true interests, events and lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.demo.bots import Bot, make_bot_touches, make_bots
from pipeline.demo.catalogue import TAGS, Catalogue, make_catalogue
from pipeline.demo.noise import Lines, events_before_login, make_lines, make_skew_ms
from pipeline.demo.people import Device, Interest, Person, make_people
from pipeline.demo.plan import DemoPlan, Flags
from pipeline.demo.visits import Touches, join_touches, make_touches, plan_visits


@dataclass(frozen=True)
class Actor:
    """The source of an event. user: None for an actor that never logs in."""

    user: str | None
    devices: tuple[Device, ...]
    consents: bool


def make_actors(people: Sequence[Person], bots: Sequence[Bot]) -> list[Actor]:
    """Return all actors, in the order of `Touches.actor`."""
    return [Actor(person.user, person.devices, person.consents) for person in people] + [
        Actor(bot.user, (bot.device,), consents=True) for bot in bots
    ]


def truth_records(plan: DemoPlan, people: Sequence[Person], bots: Sequence[Bot]) -> list[dict[str, object]]:
    """Return one record per actor: `user` (the device, if the actor never logs in), `is_bot`, `interests`, `history`.

    interests: tags and weights on the last day, highest first; the weights add up to 1.
    history: every interest with its first and last day, null if that lies outside the log.
    """
    of_people = [
        {"user": one.user, "is_bot": False, "interests": _interests_now(plan, one), "history": _history(plan, one)}
        for one in people
    ]
    of_bots = [
        {
            "user": bot.user or bot.device.name,
            "is_bot": True,
            "is_declared": bot.is_declared,
            "interests": [],
            "history": [],
        }
        for bot in bots
    ]
    return [*of_people, *of_bots]


def interests_on(person: Person, day: int) -> list[Interest]:
    """Return a person's interests on a day, highest weight first."""
    return sorted(
        (one for one in person.interests if one.weight_on(day) > 0), key=lambda one: (-one.weight_on(day), one.tag)
    )


def _interests_now(plan: DemoPlan, person: Person) -> list[dict[str, object]]:
    last_day = plan.days - 1
    held = interests_on(person, last_day)
    total = sum(one.weight_on(last_day) for one in held)
    return [{"tag": TAGS[one.tag], "weight": round(one.weight_on(last_day) / total, 4)} for one in held]


def _history(plan: DemoPlan, person: Person) -> list[dict[str, object]]:
    def date_of(day: int) -> str | None:
        return plan.day(day).isoformat() if 0 <= day < plan.days else None

    return [
        {
            "tag": TAGS[one.tag],
            "weight": round(one.weight, 4),
            "from": date_of(one.first_day),
            "to": date_of(one.last_day),
        }
        for one in person.interests
    ]


@dataclass(frozen=True)
class DemoLog:
    """Everything that `write` needs. skewed, before_login: per event of `touches`."""

    plan: DemoPlan
    catalogue: Catalogue
    people: list[Person]
    bots: list[Bot]
    actors: list[Actor]
    touches: Touches
    skewed: Flags
    before_login: Flags
    lines: Lines


def make_log(plan: DemoPlan) -> DemoLog:
    """Make a log from its plan. The same plan gives the same log."""
    catalogue = make_catalogue(plan)
    people, bots = make_people(plan, catalogue), make_bots(plan)
    visits = plan_visits(plan, people)
    of_people = make_touches(plan, catalogue, visits)
    of_bots = make_bot_touches(plan, catalogue, bots, first_actor=len(people), first_visit=len(visits.person))
    touches = join_touches(of_people, of_bots)
    touches = touches.where(touches.at_ms < plan.end_ms)

    actors = make_actors(people, bots)
    first_device = np.cumsum([0, *(len(actor.devices) for actor in actors)])
    skew_ms = make_skew_ms(plan, int(first_device[-1]))[first_device[touches.actor] + touches.device]
    return DemoLog(
        plan=plan,
        catalogue=catalogue,
        people=people,
        bots=bots,
        actors=actors,
        touches=touches,
        skewed=skew_ms != 0,
        before_login=events_before_login(plan, touches, len(people)),
        lines=make_lines(plan, touches, skew_ms, len(people)),
    )
