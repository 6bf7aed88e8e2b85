"""What two trainings that took turns come to, side by side. Seconds are those of the wall clock."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model.data.arrays import Ints
from tests.bench.public_sets.next_item import hits_U, ndcg_U
from tests.bench.turns import Told, places_U

Result = dict[str, Any]
THEIRS, OURS = "RecTools' SASRec", "ours"
LEAST_RATIO, LEAST_HR_DIFFERENCE = 3.0, -0.006  # the goals


class Course:
    """One side's turns so far, each with what it had cost up to then and how well it ranked."""

    def __init__(self, about: Told, target_U: Ints) -> None:
        self.about, self.target_U = about, target_U
        self.turns: list[Result] = []

    def take(self, told: Told, best_UK: Ints) -> Result:
        """Add one turn, and return it."""
        place_U = places_U(best_UK, self.target_U)
        before = self.turns[-1] if self.turns else {"tokens_so_far": 0, "seconds_so_far": 0.0}
        turn = {
            "epoch": len(self.turns) + 1,
            **told,
            "tokens_so_far": before["tokens_so_far"] + told["tokens"],
            "seconds_so_far": before["seconds_so_far"] + told["epoch_seconds"],
            "hr_at_10": float(hits_U(place_U).mean()),
            "ndcg_at_10": float(ndcg_U(place_U).mean()),
        }
        self.turns.append(turn)
        return turn

    def as_json(self) -> Result:
        """Return all turns, and what they come to."""
        last = self.turns[-1]
        scoring_seconds = sum(turn["scoring_seconds"] for turn in self.turns)
        return {
            **self.about,
            "epoch_seconds": last["seconds_so_far"] / len(self.turns),
            "epoch_tokens": last["tokens_so_far"] // len(self.turns),
            "tokens_per_second": last["tokens_so_far"] / last["seconds_so_far"],
            "users_scored_per_second": len(self.target_U) * len(self.turns) / scoring_seconds,
            "peak_memory_mib": last["peak_memory_mib"],
            "hr_at_10": last["hr_at_10"],
            "ndcg_at_10": last["ndcg_at_10"],
            "turns": self.turns,
        }


def compared(theirs: Result, ours: Result) -> Result:
    """Return how often faster ours is, with the least and the most of a turn, and how the rankings differ.

    theirs, ours: as `Course.as_json` tells them, after as many turns.
    """
    pairs = list(zip(theirs["turns"], ours["turns"], strict=True))
    trained = [(b["tokens"] / b["epoch_seconds"]) / (a["tokens"] / a["epoch_seconds"]) for a, b in pairs]
    scored = [a["scoring_seconds"] / b["scoring_seconds"] for a, b in pairs]
    seconds, tokens = theirs["turns"][-1]["seconds_so_far"], theirs["turns"][-1]["tokens_so_far"]
    training, scoring = _ratio(theirs, ours, "tokens_per_second"), _ratio(theirs, ours, "users_scored_per_second")
    difference = ours["hr_at_10"] - theirs["hr_at_10"]
    return {
        "training_rate": {"ratio": training, "least": min(trained), "most": max(trained)},
        "scoring_rate": {"ratio": scoring, "least": min(scored), "most": max(scored)},
        "epoch_seconds": {"ratio": theirs["epoch_seconds"] / ours["epoch_seconds"]},
        "hr_at_10_difference": difference,
        "ours_within_their_seconds": _last(ours["turns"], "seconds_so_far", seconds),
        "ours_within_their_tokens": _last(ours["turns"], "tokens_so_far", tokens),
        "ours_as_good_as_their_last": next(
            (turn for turn in ours["turns"] if turn["hr_at_10"] >= theirs["hr_at_10"]), None
        ),
        "is_goal_reached": bool(min(training, scoring) >= LEAST_RATIO and difference >= LEAST_HR_DIFFERENCE),
    }


def markdown(theirs: Result, ours: Result, ratios: Result) -> str:
    """Return the table of both, and what else is to be known."""
    rows = [
        ("training, interactions a second", "tokens_per_second", "{:,.0f}", _spread(ratios["training_rate"])),
        ("seconds an epoch", "epoch_seconds", "{:.1f}", f"{ratios['epoch_seconds']['ratio']:.1f} ×"),
        ("interactions an epoch", "epoch_tokens", "{:,}", ""),
        ("users scored a second", "users_scored_per_second", "{:,.0f}", _spread(ratios["scoring_rate"])),
        ("HR@10", "hr_at_10", "{:.4f}", f"{ratios['hr_at_10_difference']:+.4f}"),
        ("nDCG@10", "ndcg_at_10", "{:.4f}", f"{ours['ndcg_at_10'] - theirs['ndcg_at_10']:+.4f}"),
        ("peak memory, MiB", "peak_memory_mib", "{:,}", ""),
    ]
    lines = [f"| after {len(ours['turns'])} epochs each | {THEIRS} | {OURS} | |", "| --- | --- | --- | --- |"]
    for name, key, form, note in rows:
        lines.append(f"| {name} | {form.format(theirs[key])} | {form.format(ours[key])} | {note} |")
    lines.append("")
    for name, key in (
        ("in no more seconds than theirs in all", "ours_within_their_seconds"),
        ("having read no more interactions than theirs in all", "ours_within_their_tokens"),
        ("as soon as it is as good as theirs in the end", "ours_as_good_as_their_last"),
    ):
        turn = ratios[key]
        told = (
            f"HR@10 {turn['hr_at_10']:.4f} after {turn['epoch']} epochs, {turn['seconds_so_far']:.0f} s"
            if turn
            else "at no end of an epoch"
        )
        lines.append(f"- ours, {name}: {told}")
    return "\n".join(lines)


def _ratio(theirs: Result, ours: Result, rate: str) -> float:
    return float(ours[rate] / theirs[rate])


def _last(turns: Sequence[Result], cost: str, most: float) -> Result | None:
    """Return the last turn up to which no more was spent."""
    within = np.flatnonzero([turn[cost] <= most for turn in turns])
    return turns[within[-1]] if len(within) else None


def _spread(ratio: Result) -> str:
    return f"{ratio['ratio']:.1f} × ({ratio['least']:.1f} to {ratio['most']:.1f})"
