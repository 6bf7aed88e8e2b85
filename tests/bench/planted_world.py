"""The made-up shop as a History from its generator, which knows the true interests of each user by day.

Bots, copies and broken lines are left out, as in the pipeline; a visit is a session.

Shape letters: U people with an event, E events, M touches of a tag.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from model.data.arrays import Floats, Ints
from model.data.history import NO_ITEM, History
from pipeline.demo.catalogue import TAGS
from pipeline.demo.log import DemoLog, interests_on, make_log
from pipeline.demo.plan import DemoPlan
from pipeline.demo.visits import KINDS
from pipeline.sources.schema import load_source, source_file

MICROS_PER_MS = 1_000


@dataclass(frozen=True, eq=False)
class PlantedWorld:
    """A log and its truth."""

    log: DemoLog
    history: History
    person_U: Ints

    def planted_UT(self, day: date, user_id_U: np.ndarray) -> Floats:
        """Return the planted weight of each tag of the history for some users on a day; 0 for none."""
        number = (day - self.log.plan.first_day).days
        place = {str(tag): code for code, tag in enumerate(self.history.tag_T)}
        planted_UT = np.zeros((len(user_id_U), len(place)))
        for row, user_id in enumerate(user_id_U):
            for one in interests_on(self.log.people[int(user_id[1:])], number):
                planted_UT[row, place[TAGS[one.tag]]] = one.weight_on(number)
        return planted_UT


def planted_world(plan: DemoPlan) -> PlantedWorld:
    log = make_log(plan)
    touches = log.touches.where(log.touches.actor < len(log.people))
    touches = touches.where(np.lexsort((touches.place, touches.at_ms, touches.actor)))
    person_U, user_E = np.unique(touches.actor, return_inverse=True)
    _, session_E = np.unique(touches.visit, return_inverse=True)
    at_E = touches.at_ms * MICROS_PER_MS
    last_at_U = np.zeros(len(person_U), np.int64)
    np.maximum.at(last_at_U, user_E, at_E)
    first_E = np.where(touches.item >= 0, log.catalogue.first_tag[touches.item], touches.tag)
    second_E = np.where(touches.item >= 0, log.catalogue.second_tag[touches.item], -1)
    tag_E2 = np.column_stack([first_E, second_E])
    event_M, which_M = np.nonzero(tag_E2 >= 0)
    tag_T, code_of_tag = np.unique(np.array(TAGS, object), return_inverse=True)
    types = load_source(source_file("demo")).event_types
    history = History(
        user_id_U=np.array([f"p{person:06d}" for person in person_U], object),
        event_count_U=np.bincount(user_E),
        last_event_at_U=last_at_U,
        is_cut_short_U=np.zeros(len(person_U), bool),
        user_E=user_E,
        at_E=at_E,
        weight_E=np.array([types[kind].weight for kind in KINDS])[touches.kind],
        item_E=np.where(touches.item >= 0, touches.item + 1, NO_ITEM),
        session_E=session_E,
        action_E=touches.kind,
        event_M=event_M,
        tag_M=code_of_tag[tag_E2[event_M, which_M]],
        tag_T=tag_T,
        session_id_S=np.array([f"v{visit}" for visit in np.unique(touches.visit)], object),
        action_A=np.array(KINDS, object),
    )
    return PlantedWorld(log, history, person_U)
