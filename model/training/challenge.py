"""Lets challengers learn and has them judged. Nothing of the judging week reaches them before the verdict."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from model.counts.fit import fit_history
from model.counts.learn import FEWEST_USERS
from model.counts.lesson import Lesson
from model.counts.parameters import VERSION as COUNTS
from model.days import end_of_day
from model.errors import InputError
from model.kept import Kept
from model.training.challenger import Challenger, Learnt, Schooling, Told
from model.training.judging import Judged, Verdict, judge, require_judges, verdict
from model.training.plan import Plan
from model.training.weeks import Histories, lesson_of_week


@dataclass(frozen=True, eq=False)
class Outcome:
    """How one challenger did."""

    kind: str
    learnt: Learnt
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Challenge:
    """What came of a challenge."""

    plan: Plan
    outcomes: tuple[Outcome, ...]  # one a challenger
    judged_users: int  # who touched a tag in the judging week
    winner: Kept | None  # the leader, refitted through the last day; None where the challenge was lost

    @property
    def leader(self) -> Outcome:
        """Return the one of the highest nDCG@10 among those who won, else among all; the first of equals."""
        won = [outcome for outcome in self.outcomes if outcome.verdict.is_won]
        return max(won or self.outcomes, key=lambda outcome: outcome.verdict.challenger.ndcg_at_10)

    @property
    def judged(self) -> list[Judged]:
        """Return everybody judged, best first."""
        verdicts = [outcome.verdict for outcome in self.outcomes]
        everybody = [*(one.challenger for one in verdicts), *verdicts[0].opponents]
        return sorted(everybody, key=lambda judged: -judged.ndcg_at_10)

    def as_json(self) -> dict[str, Any]:
        return {
            "through": str(self.plan.through),
            "cuts": {
                "taught": [str(cut) for cut in self.plan.taught],
                "validation": str(self.plan.validation),
                "judged": str(self.plan.judged),
            },
            "judged_users": self.judged_users,
            "leader": self.leader.kind,
            "challengers": {
                outcome.kind: {**outcome.learnt.as_json(), **outcome.verdict.as_json()} for outcome in self.outcomes
            },
        }


def steps_of(challengers: Sequence[Challenger]) -> int:
    """Return how often `challenge` tells of a step."""
    return sum(challenger.steps for challenger in challengers) + 3


def challenge(
    named: Mapping[str, Challenger],
    plan: Plan,
    known: Histories,
    champions: Sequence[tuple[str, Kept]],
    told: Told,
) -> Challenge:
    """Let challengers learn through the cut of the judging week, judge them there, and refit the best that wins a week
    later.

    A challenger wins if it is certainly better than the best of counts-1 and the champions. Of several that win, the
    one of the highest nDCG@10 is refitted, certain to be better than the other winners or not.

    named: challengers by the names that they would have as versions.
    champions: models trained through that cut or earlier, judged beside counts-1.
    told: called before each of `steps_of` steps, with what it does.
    Raises InputError if too few users teach or judge.
    """
    told("laying out the weeks")
    cuts = (*plan.taught, plan.validation)
    lessons = [lesson_of_week(known, cut) for cut in cuts]
    week = lesson_of_week(known, plan.judged)
    for lesson, cut in zip(lessons, cuts, strict=True):
        _require_teachers(lesson, str(cut))
    require_judges(week)
    taught = _schooling(known, plan.judged, lessons)
    # A week later, from as many weeks: what was judged is a model of so many, and one more made none better (measured).
    newest = _schooling(known, plan.through, [*lessons, week][-len(lessons) :])
    with ExitStack() as begun:
        refits = {name: challenger.ahead(newest) for name, challenger in named.items()}
        ahead = {name: begun.enter_context(refit) for name, refit in refits.items() if refit}
        learnt = {name: challenger.learn(taught, told) for name, challenger in named.items()}

        told("judging on the week held out")
        counts = fit_history(known[plan.judged], plan.judged)
        opponents = [judge(COUNTS, counts, week)]
        opponents += [judge(version, champion.scorer(version, counts), week) for version, champion in champions]
        outcomes = tuple(
            Outcome(named[name].kind, one, verdict(judge(name, one.kept.scorer(name, counts), week), opponents))
            for name, one in learnt.items()
        )
        outcome = Challenge(plan, outcomes, judged_users=int((week.touched_tags_U > 0).sum()), winner=None)
        leader = outcome.leader
        told(f"refitting {leader.kind} with the week held out" if leader.verdict.is_won else "done")
        if not leader.verdict.is_won:
            return outcome
        begun_ahead = ahead.get(leader.verdict.challenger.name)
        refit = begun_ahead.outcome() if begun_ahead else None
        return replace(outcome, winner=leader.learnt.refitted(newest, refit))


def _schooling(known: Histories, day: date, lessons: Sequence[Lesson]) -> Schooling:
    end = end_of_day(day)
    return Schooling(lessons, known[day].before(end), end)


def _require_teachers(lesson: Lesson, cut: str) -> None:
    users, touched = lesson.past.users, int(lesson.is_touched_P.sum())
    if users < FEWEST_USERS or not touched or touched == len(lesson.is_touched_P):
        raise InputError(
            f"too little to learn from in the 7 days after {cut}: found {users} users known by then, "
            f"{touched} of their {len(lesson.is_touched_P)} candidate tags touched; expected {FEWEST_USERS} users at "
            f"least, and tags both touched and left alone; train through a later day"
        )
