"""The true interests can be found from all visits but not from the last one; the order of visits helps."""

import numpy as np
import pytest

from pipeline.demo.catalogue import TAGS, next_in_theme
from pipeline.demo.log import DemoLog, interests_on, make_log
from pipeline.demo.people import ALWAYS
from pipeline.demo.plan import DAY_MS, DemoPlan, Flags, Floats
from pipeline.demo.visits import plan_visits, rhythm

WEIGHTS = np.array([1.0, 1.5, 2.0, 2.0, 2.0, 3.0])  # by kind, as in pipeline/sources/demo.toml
HALF_LIFE_DAYS = 9.0
SECOND_TAG_WEIGHT = 0.5


@pytest.fixture(scope="module")
def log() -> DemoLog:
    return make_log(DemoPlan(users=400))


def test_decayed_counts_find_the_true_interests(log: DemoLog) -> None:
    assert recall_of_top_3(log, decayed_counts(log)) >= 0.75


def test_the_last_visit_alone_does_not_find_them(log: DemoLog) -> None:
    assert recall_of_top_3(log, last_visit_counts(log)) <= 0.55


def test_counts_without_decay_keep_past_interests(log: DemoLog) -> None:
    undecayed, decayed = decayed_counts(log, half_life_days=1_000.0), decayed_counts(log)
    assert past_interests_in_top_3(log, undecayed) > past_interests_in_top_3(log, decayed) + 0.1


def test_a_visit_is_mostly_about_one_interest(log: DemoLog) -> None:
    visits, touches = plan_visits(log.plan, log.people), log.touches
    of_items = (touches.actor < len(log.people)) & (touches.item >= 0)
    about = visits.tag[touches.visit[of_items]]
    share = np.mean(log.catalogue.first_tag[touches.item[of_items]] == about)
    assert 0.78 <= share <= 0.9


def test_visits_follow_an_order_that_counts_cannot_see(log: DemoLog) -> None:
    """With three or more interests, that of the visit before predicts the next one better than the weights do."""
    visits = plan_visits(log.plan, log.people)
    in_order, chances = [], []
    for number in range(1, len(visits.tag)):
        person = log.people[visits.person[number]]
        day = int((visits.start_ms[number] - log.plan.start_ms) // DAY_MS)
        held = {one.tag: one.weight_on(day) for one in interests_on(person, day)}
        before, tag = int(visits.tag[number - 1]), int(visits.tag[number])
        if visits.person[number - 1] != visits.person[number] or before not in held or len(held) < 3:
            continue
        tags = sorted(held)
        following = tags[(tags.index(before) + 1) % len(tags)]
        in_order.append(tag == following)
        chances.append(held[following] / sum(held.values()))
    assert np.mean(in_order) > np.mean(chances) + 0.2


def test_new_interests_follow_in_the_theme_after_searches(log: DemoLog) -> None:
    visits = plan_visits(log.plan, log.people)
    begun = [(person, one) for person, of in enumerate(log.people) for one in of.interests if one.first_day > ALWAYS]
    follows = [any(next_in_theme(old.tag) == one.tag for old in log.people[person].interests) for person, one in begun]
    assert np.mean(follows) > 0.6

    def is_searched_before(person: int, tag: int, first_day: int) -> bool:
        start_ms = log.plan.start_ms + first_day * DAY_MS
        is_theirs = (visits.person == person) & (visits.searched == tag) & (visits.start_ms < start_ms)
        return bool(is_theirs.any())

    assert np.mean([is_searched_before(person, one.tag, one.first_day) for person, one in begun]) > 0.5


def test_weekend_tags_are_visited_at_weekends(log: DemoLog) -> None:
    visits = plan_visits(log.plan, log.people)
    days = ((visits.start_ms - log.plan.start_ms) // DAY_MS).tolist()
    is_weekend = np.array([log.plan.weekday(day) >= 5 for day in days])
    preference = np.array([rhythm(tag, 6) - rhythm(tag, 0) for tag in visits.tag.tolist()])
    assert is_weekend[preference > 0].mean() > 1.4 * is_weekend[preference < 0].mean()


def test_activity_is_skewed_and_popular_items_are_few(log: DemoLog) -> None:
    of_people = log.touches.where(log.touches.actor < len(log.people))
    per_person = np.sort(np.bincount(of_people.actor, minlength=len(log.people)))[::-1]
    assert 55 <= per_person.mean() <= 90
    assert per_person[: len(per_person) // 5].sum() > 0.4 * per_person.sum()
    per_item = np.sort(np.bincount(of_people.item[of_people.item >= 0], minlength=len(log.catalogue.titles)))[::-1]
    assert per_item[: len(per_item) // 10].sum() > 0.25 * per_item.sum()


def recall_of_top_3(log: DemoLog, scores: Floats) -> float:
    """Return the mean share of true interests among each person's top three tags.

    Counts people with ten events or more in the last two weeks. scores: (person, tag); a tag scored 0 is not predicted.
    """
    touches, last_day = log.touches, log.plan.days - 1
    is_recent = (touches.actor < len(log.people)) & (touches.at_ms >= log.plan.end_ms - 14 * DAY_MS)
    recent = np.bincount(touches.actor[is_recent], minlength=len(log.people))
    recalls = []
    for number in np.flatnonzero(recent >= 10):
        true = {one.tag for one in interests_on(log.people[number], last_day)}
        recalls.append(len(true & top_3(scores[number])) / min(3, len(true)))
    return float(np.mean(recalls))


def past_interests_in_top_3(log: DemoLog, scores: Floats) -> float:
    """Return the share of interests that ended over a week ago and are still among their person's top three."""
    week_ago = log.plan.days - 8
    ended = [
        (number, one.tag)
        for number, person in enumerate(log.people)
        for one in person.interests
        if one.last_day < week_ago
    ]
    return float(np.mean([tag in top_3(scores[number]) for number, tag in ended]))


def top_3(scores: Floats) -> set[int]:
    """Return the indices of the three highest scores above 0."""
    return {int(tag) for tag in np.argsort(-scores, kind="stable")[:3] if scores[tag] > 0}


def decayed_counts(log: DemoLog, half_life_days: float = HALF_LIFE_DAYS) -> Floats:
    """Return (person, tag): weights of touches, halved every `half_life_days` before the end of the log."""
    age_days = (log.plan.end_ms - log.touches.at_ms) / DAY_MS
    return _sums_by_tag(log, log.touches.actor < len(log.people), 0.5 ** (age_days / half_life_days))


def last_visit_counts(log: DemoLog) -> Floats:
    """Return (person, tag): weights of the touches of each person's last visit."""
    last_visit = np.zeros(len(log.actors), dtype=np.int64)
    np.maximum.at(last_visit, log.touches.actor, log.touches.visit)
    is_last = log.touches.visit == last_visit[log.touches.actor]
    return _sums_by_tag(log, is_last & (log.touches.actor < len(log.people)), np.ones(len(log.touches)))


def _sums_by_tag(log: DemoLog, chosen: Flags, decay: Floats) -> Floats:
    touches = log.touches
    first = np.where(touches.item >= 0, log.catalogue.first_tag[touches.item], touches.tag)
    second = np.where(touches.item >= 0, log.catalogue.second_tag[touches.item], -1)
    sums = np.zeros((len(log.people), len(TAGS)))
    for tag, share in ((first, 1.0), (second, SECOND_TAG_WEIGHT)):
        counted = chosen & (tag >= 0)
        weight = share * WEIGHTS[touches.kind[counted]] * decay[counted]
        np.add.at(sums, (touches.actor[counted], tag[counted]), weight)
    return sums
