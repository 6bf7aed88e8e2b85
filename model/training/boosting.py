"""boosting-1 as a challenger: some recipes, the newest lesson chooses one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.boosting.boosting1 import KIND
from model.boosting.fit import Choice, Examples, examples, grow, try_recipes, usual_actions
from model.boosting.kept import KeptForest
from model.boosting.recipe import RECIPES, Recipe
from model.curves import CurvePoint
from model.kept import Kept
from model.training.challenger import Schooling, Told


@dataclass(frozen=True, eq=False)
class LearntForest:
    """A Learnt."""

    kept: KeptForest
    actions: tuple[str, ...]
    choices: tuple[Choice, ...]  # what the newest lesson said of each recipe
    chosen: Choice
    rows: Sequence[Examples]
    curves: Sequence[CurvePoint] = ()

    def parameters(self) -> Mapping[str, Any]:
        return self.chosen.recipe.as_json()

    def as_json(self) -> Mapping[str, Any]:
        return {
            "actions": list(self.actions),
            "recipes": [
                {**choice.recipe.as_json(), "validation_ndcg_at_10": choice.ndcg_at_10} for choice in self.choices
            ],
            "chosen": self.chosen.recipe.as_json(),
            "examples": sum(len(one.is_touched_P) for one in self.rows),  # pairs of user and tag
        }

    def refitted(self, schooling: Schooling, ahead: Kept | None) -> KeptForest:
        """Grow by the same recipe from the weeks of the schooling, the judging one among them."""
        rows = [*self.rows, examples(schooling.lessons[-1], self.actions)][-len(schooling.lessons) :]
        return KeptForest(grow(self.chosen.recipe, rows, self.actions))


@dataclass(frozen=True)
class BoostingChallenger:
    """A Challenger."""

    recipes: tuple[Recipe, ...] = RECIPES
    kind: str = KIND

    @property
    def steps(self) -> int:
        return len(self.recipes) + 1

    def ahead(self, schooling: Schooling) -> None:
        """A refit waits for the recipe."""

    def learn(self, schooling: Schooling, told: Told) -> LearntForest:
        actions = usual_actions(schooling.lessons)
        rows = [examples(lesson, actions) for lesson in schooling.lessons]
        choices: list[Choice] = []
        told("trying recipes of boosted trees")
        for choice in try_recipes(self.recipes, rows[:-1], rows[-1]):
            choices.append(choice)
            reached = f"nDCG@10 {choice.ndcg_at_10:.3f} on the validation week"
            told(f"tried {len(choices)} of {len(self.recipes)} recipes: {reached}")
        chosen = max(choices, key=lambda choice: choice.ndcg_at_10)
        kept = KeptForest(grow(chosen.recipe, rows, actions))
        return LearntForest(kept, actions, tuple(choices), chosen, rows)
