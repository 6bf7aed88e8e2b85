"""Everybody who causes events, people first, then robots; and what is true of their interests."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.demo.bots import Bot
from pipeline.demo.catalogue import TAGS
from pipeline.demo.people import Device, Interest, Person
from pipeline.demo.plan import DemoPlan


@dataclass(frozen=True)
class Actor:
    """What the log says of whoever caused an event; `user` is None for one that never logs in."""

    user: str | None
    devices: tuple[Device, ...]
    consents: bool


def make_actors(people: Sequence[Person], bots: Sequence[Bot]) -> list[Actor]:
    """Return all actors, in the order in which events number them."""
    return [Actor(person.user, person.devices, person.consents) for person in people] + [
        Actor(bot.user, (bot.device,), consents=True) for bot in bots
    ]


def truth_records(plan: DemoPlan, people: Sequence[Person], bots: Sequence[Bot]) -> list[dict[str, object]]:
    """Return one record per actor: `user` (the device of one that never logs in), `is_bot`, `interests`, `history`.

    interests: tags and weights on the last day, strongest first; the weights add up to 1.
    history: every interest with the first and the last day of it, null where it began before the log or still holds.
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
    """Return the interests that a person has on a day, strongest first."""
    return sorted(
        (one for one in person.interests if one.strength(day) > 0), key=lambda one: (-one.strength(day), one.tag)
    )


def _interests_now(plan: DemoPlan, person: Person) -> list[dict[str, object]]:
    last_day = plan.days - 1
    held = interests_on(person, last_day)
    total = sum(one.strength(last_day) for one in held)
    return [{"tag": TAGS[one.tag], "weight": round(one.strength(last_day) / total, 4)} for one in held]


def _history(plan: DemoPlan, person: Person) -> list[dict[str, object]]:
    def told(day: int) -> str | None:
        return plan.day(day).isoformat() if 0 <= day < plan.days else None

    return [
        {"tag": TAGS[one.tag], "weight": round(one.weight, 4), "from": told(one.first_day), "to": told(one.last_day)}
        for one in person.interests
    ]
