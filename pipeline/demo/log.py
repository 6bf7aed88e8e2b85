"""The whole log in memory: actors, events and lines."""

from dataclasses import dataclass

import numpy as np

from pipeline.demo.actors import Actor, make_actors
from pipeline.demo.bots import Bot, make_bot_touches, make_bots
from pipeline.demo.catalogue import Catalogue, make_catalogue
from pipeline.demo.noise import Lines, events_before_login, make_lines, make_skew_ms
from pipeline.demo.people import Person, make_people
from pipeline.demo.plan import DemoPlan, Flags
from pipeline.demo.visits import Touches, join_touches, make_touches, plan_visits


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
