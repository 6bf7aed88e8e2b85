"""All actors, people first, then bots; and their true interests."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.demo.bots import Bot
from pipeline.demo.catalogue import TAGS
from pipeline.demo.people import Device, Interest, Person
from pipeline.demo.plan import DemoPlan


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
