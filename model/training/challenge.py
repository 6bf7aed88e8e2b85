"""Grows a challenger and has it judged. Nothing of the judging week reaches it before the verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from model.boosting.boosting1 import Boosting1
from model.boosting.fit import Choice, Examples, examples, grow, try_recipes, usual_actions
from model.boosting.forest import Forest
from model.boosting.recipe import RECIPES
from model.counts.fit import fit_history
from model.counts.learn import FEWEST_USERS
from model.counts.lesson import Lesson
from model.counts.parameters import VERSION as COUNTS
from model.errors import InputError
from model.training.judging import Verdict, judge, require_judges, verdict
from model.training.plan import Plan
from model.training.weeks import Histories, lesson_of_week

Told = Callable[[str], None]
STEPS = len(RECIPES) + 4  # how often `told` is called: weeks, recipes, growing, judging, growing again


@dataclass(frozen=True, eq=False)
class Challenge:
    """What came of a challenge."""

    plan: Plan
    actions: tuple[str, ...]
    choices: tuple[Choice, ...]  # what the validation cut said of each recipe
    chosen: Choice
    verdict: Verdict
    judged_users: int  # who touched a tag in the judging week
    examples: int  # pairs of user and tag that the judged challenger learnt from
    winner: Forest | None  # refitted through the last day; None where the challenge was lost

    def as_json(self) -> dict[str, Any]:
        return {
            "through": str(self.plan.through),
            "cuts": {
                "taught": [str(cut) for cut in self.plan.taught],
                "validation": str(self.plan.validation),
                "judged": str(self.plan.judged),
            },
            "actions": list(self.actions),
            "recipes": [
                {**choice.recipe.as_json(), "validation_ndcg_at_10": choice.ndcg_at_10} for choice in self.choices
            ],
            "chosen": self.chosen.recipe.as_json(),
            "judged_users": self.judged_users,
            "examples": self.examples,
            **self.verdict.as_json(),
        }


def challenge(
    name: str, plan: Plan, known: Histories, champions: Sequence[tuple[str, Forest]], told: Told
) -> Challenge:
    """Train a challenger through the cut of the judging week, judge it there, and refit it if it wins.

    champions: models trained through that cut or earlier, judged beside counts-1.
    told: called before each of STEPS steps, with what it does.
    Raises InputError if too few users teach or judge.
    """
    told("laying out the weeks")
    taught = [lesson_of_week(known, cut) for cut in (*plan.taught, plan.validation)]
    week = lesson_of_week(known, plan.judged)
    for lesson, cut in zip(taught, (*plan.taught, plan.validation), strict=True):
        _require_teachers(lesson, str(cut))
    require_judges(week)

    actions = usual_actions(taught)
    rows = [examples(lesson, actions) for lesson in taught]
    choices = []
    told("trying recipes")
    for choice in try_recipes(RECIPES, rows[:-1], rows[-1]):
        choices.append(choice)
        told(f"tried {len(choices)} of {len(RECIPES)} recipes: nDCG@10 {choice.ndcg_at_10:.3f} on the validation week")
    chosen = max(choices, key=lambda choice: choice.ndcg_at_10)
    forest = grow(chosen.recipe, rows, actions)

    told("judging on the week held out")
    counts = fit_history(known[plan.judged], plan.judged)
    opponents = [judge(COUNTS, counts, week)]
    opponents += [judge(version, Boosting1(version, champion, counts), week) for version, champion in champions]
    outcome = verdict(judge(name, Boosting1(name, forest, counts), week), opponents)
    told("refitting with the week held out" if outcome.is_won else "done")
    return Challenge(
        plan=plan,
        actions=actions,
        choices=tuple(choices),
        chosen=chosen,
        verdict=outcome,
        judged_users=int((week.touched_tags_U > 0).sum()),
        examples=sum(len(one.is_touched_P) for one in rows),
        winner=_refitted(chosen, rows, week, actions) if outcome.is_won else None,
    )


def _refitted(chosen: Choice, rows: Sequence[Examples], week: Lesson, actions: tuple[str, ...]) -> Forest:
    """Grow by the same recipe from all weeks, the judging one included."""
    return grow(chosen.recipe, [*rows, examples(week, actions)], actions)


def _require_teachers(lesson: Lesson, cut: str) -> None:
    users, touched = lesson.past.users, int(lesson.is_touched_P.sum())
    if users < FEWEST_USERS or not touched or touched == len(lesson.is_touched_P):
        raise InputError(
            f"too little to learn from in the 7 days after {cut}: found {users} users known by then, "
            f"{touched} of their {len(lesson.is_touched_P)} candidate tags touched; expected {FEWEST_USERS} users at "
            f"least, and tags both touched and left alone; train through a later day"
        )
