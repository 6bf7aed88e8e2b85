"""Judges models on a week that none of them has seen.

Shape letters: U judged users, R interests (a user's together, by rank), T tags.

Lets challengers learn and has them judged. Nothing of the judging week reaches them before the verdict.

How a challenge is told: a table for the eye, a line for the log. Numbers as .561, differences as +.028.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from rich.table import Table

from model.counts.model import MIN_USERS, fit_counts_to_history
from model.counts.model import VERSION as COUNTS
from model.data.arrays import Bools, Floats
from model.data.cutoffs import Plan
from model.data.days import end_of_day
from model.data.folds import Histories, window_of_week
from model.data.labels import LabeledWindow
from model.data.scores import Scores
from model.errors import InputError
from model.evaluation.holdout import MIN_TEST_USERS
from model.interfaces import SavedModel, Scorer, TrainingData
from model.metrics import (
    Difference,
    expected_calibration_error,
    f1_of_users,
    nan_mean,
    ndcg_of_users,
    paired_difference,
    recall_of_users,
)
from model.training.challengers import Challenger, ProgressCallback, TrainedChallenger


@dataclass(frozen=True, eq=False)
class ChallengeResult:
    """How one model did. The ranking figures are means over the users who touched a tag in the week."""

    name: str
    ndcg_U: Floats  # at 10; nan for a user who touched nothing
    recall_at_10: float
    f1_at_5: float
    ece: float  # of what is published of all judged users, ten interests at most

    @property
    def ndcg_at_10(self) -> float:
        return nan_mean(self.ndcg_U)

    def figures(self) -> dict[str, float]:
        return {
            "ndcg_at_10": self.ndcg_at_10,
            "recall_at_10": self.recall_at_10,
            "f1_at_5": self.f1_at_5,
            "ece": self.ece,
        }


@dataclass(frozen=True, eq=False)
class Verdict:
    """A challenger against the best of its opponents."""

    challenger: ChallengeResult
    opponents: tuple[ChallengeResult, ...]
    best: ChallengeResult
    difference: Difference  # nDCG@10 of the challenger less that of the best opponent

    @property
    def is_won(self) -> bool:
        return self.difference.low > 0

    def as_json(self) -> dict[str, Any]:
        return {
            "figures": {judged.name: judged.figures() for judged in (self.challenger, *self.opponents)},
            "best_opponent": self.best.name,
            "ndcg_at_10_difference": asdict(self.difference),
            "is_won": self.is_won,
        }


def require_enough_users(week: LabeledWindow) -> None:
    """Raise InputError if too few users touched a tag in the week to judge by them."""
    judges = int((week.touched_tags_U > 0).sum())
    if judges < MIN_TEST_USERS:
        raise InputError(
            f"too few users to judge a model by: found {judges} who were known before the last 7 days and touched a "
            f"tag in them, of {week.past.users} known; expected {MIN_TEST_USERS} at least; train through a busier day, "
            f"or check why these days have so few events"
        )


def evaluate_scores(name: str, scorer: Scorer, week: LabeledWindow) -> ChallengeResult:
    """Judge a model as of the cut of `week` by what it would have published then."""
    scores = scorer.score(week.past)
    is_touched_R = _is_touched_R(scores, week)
    ranking = (scores.user_R, scores.affinity_R, scores.tag_R, is_touched_R, week.touched_tags_U)
    return ChallengeResult(
        name=name,
        ndcg_U=ndcg_of_users(10, *ranking),
        recall_at_10=nan_mean(recall_of_users(10, *ranking)),
        f1_at_5=nan_mean(f1_of_users(5, *ranking)),
        ece=expected_calibration_error(scores.affinity_R, is_touched_R),
    )


def verdict(challenger: ChallengeResult, opponents: Sequence[ChallengeResult]) -> Verdict:
    """Compare with the opponent of the highest nDCG@10, the first of equals. All were judged on the same users."""
    best = max(opponents, key=lambda judged: judged.ndcg_at_10)
    return Verdict(challenger, tuple(opponents), best, paired_difference(challenger.ndcg_U, best.ndcg_U))


def _is_touched_R(scores: Scores, week: LabeledWindow) -> Bools:
    tag_T = week.past.tag_T
    code_R = np.minimum(np.searchsorted(tag_T, scores.tag_R), len(tag_T) - 1)
    is_known_R = tag_T[code_R] == scores.tag_R
    return np.asarray(is_known_R & np.isin(scores.user_R * len(tag_T) + code_R, week.touched.key_P), dtype=bool)


@dataclass(frozen=True, eq=False)
class Outcome:
    """How one challenger did."""

    kind: str
    learnt: TrainedChallenger
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Challenge:
    """What came of a challenge."""

    plan: Plan
    outcomes: tuple[Outcome, ...]  # one a challenger
    test_users: int  # who touched a tag in the judging week
    winner: SavedModel | None  # the leader, refitted through the last day; None where the challenge was lost

    @property
    def leader(self) -> Outcome:
        """Return the one of the highest nDCG@10 among those who won, else among all; the first of equals."""
        won = [outcome for outcome in self.outcomes if outcome.verdict.is_won]
        return max(won or self.outcomes, key=lambda outcome: outcome.verdict.challenger.ndcg_at_10)

    @property
    def judged(self) -> list[ChallengeResult]:
        """Return everybody judged, best first."""
        verdicts = [outcome.verdict for outcome in self.outcomes]
        everybody = [*(one.challenger for one in verdicts), *verdicts[0].opponents]
        return sorted(everybody, key=lambda judged: -judged.ndcg_at_10)

    def as_json(self) -> dict[str, Any]:
        return {
            "through": str(self.plan.through),
            "cuts": {
                "taught": [str(cutoff) for cutoff in self.plan.taught],
                "validation": str(self.plan.validation),
                "judged": str(self.plan.judged),
            },
            "test_users": self.test_users,
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
    champions: Sequence[tuple[str, SavedModel]],
    told: ProgressCallback,
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
    cutoffs = (*plan.taught, plan.validation)
    windows = [window_of_week(known, cutoff) for cutoff in cutoffs]
    week = window_of_week(known, plan.judged)
    for window, cutoff in zip(windows, cutoffs, strict=True):
        _require_training_users(window, str(cutoff))
    require_enough_users(week)
    taught = _training_data(known, plan.judged, windows)
    # A week later, from as many weeks: what was judged is a model of so many, and one more made none better (measured).
    newest = _training_data(known, plan.through, [*windows, week][-len(windows) :])
    with ExitStack() as begun:
        refits = {name: challenger.ahead(newest) for name, challenger in named.items()}
        ahead = {name: begun.enter_context(refit) for name, refit in refits.items() if refit}
        learnt = {name: challenger.learn(taught, told) for name, challenger in named.items()}

        told("judging on the week held out")
        counts = fit_counts_to_history(known[plan.judged], plan.judged)
        opponents = [evaluate_scores(COUNTS, counts, week)]
        opponents += [
            evaluate_scores(version, champion.scorer(version, counts), week) for version, champion in champions
        ]
        outcomes = tuple(
            Outcome(
                named[name].kind, one, verdict(evaluate_scores(name, one.kept.scorer(name, counts), week), opponents)
            )
            for name, one in learnt.items()
        )
        outcome = Challenge(plan, outcomes, test_users=int((week.touched_tags_U > 0).sum()), winner=None)
        leader = outcome.leader
        told(f"refitting {leader.kind} with the week held out" if leader.verdict.is_won else "done")
        if not leader.verdict.is_won:
            return outcome
        begun_ahead = ahead.get(leader.verdict.challenger.name)
        refit = begun_ahead.outcome() if begun_ahead else None
        return replace(outcome, winner=leader.learnt.refit(newest, refit))


def _training_data(known: Histories, day: date, windows: Sequence[LabeledWindow]) -> TrainingData:
    end = end_of_day(day)
    return TrainingData(windows, known[day].before(end), end)


def _require_training_users(window: LabeledWindow, cutoff: str) -> None:
    users, touched = window.past.users, int(window.is_touched_P.sum())
    if users < MIN_USERS or not touched or touched == len(window.is_touched_P):
        raise InputError(
            f"too little to learn from in the 7 days after {cutoff}: found {users} users known by then, "
            f"{touched} of their {len(window.is_touched_P)} candidate tags touched; expected {MIN_USERS} users at "
            f"least, and tags both touched and left alone; train through a later day"
        )


def results_table(challenge: Challenge) -> Table:
    """Return the figures of everybody judged, best first."""
    plan = challenge.plan
    title = f"judged as of {plan.judged} by the 7 days through {plan.through}, {challenge.test_users:,} users"
    table = Table("model", title=title)
    for column in ("nDCG@10", "recall@10", "F1@5", "calibration error"):
        table.add_column(column, justify="right")
    for judged in challenge.judged:
        table.add_row(judged.name, *_figures(judged))
    return table


def last_line(challenge: Challenge, fate: str, name: str) -> str:
    """Return the outcome in one line, such as `boosting-1.20260201 promoted: nDCG@10 .561 against .533 of counts-1`."""
    outcome = challenge.leader.verdict
    difference = outcome.difference
    return (
        f"{name} {fate}: nDCG@10 {_share(outcome.challenger.ndcg_at_10)} against "
        f"{_share(outcome.best.ndcg_at_10)} of {outcome.best.name}, difference {_signed(difference.mean)} "
        f"[{_signed(difference.low)}, {_signed(difference.high)}]"
    )


def seen_week_message(name: str, trained_through: date) -> str:
    return f"{name} is no opponent: trained through {trained_through}, it has seen days of the week that judges"


def _figures(judged: ChallengeResult) -> list[str]:
    return [_share(value) for value in judged.figures().values()]


def _share(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if 0 <= value < 0.9995 else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:+.3f}"
