"""The figures of two trainings that took turns. Seconds are wall-clock seconds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model.data.arrays import Ints
from tests.bench.public_sets.next_item import hits_U, ndcg_U
from tests.bench.workers import Figures, places_U

Result = dict[str, Any]
THEIRS, OURS = "RecTools' SASRec", "ours"
MIN_RATIO, MIN_HR_DIFFERENCE = 3.0, -0.006  # the goals


class TrainingCourse:
    """The turns of one side so far, each with its total cost and its ranking metrics."""

    def __init__(self, about: Figures, target_U: Ints) -> None:
        self.about, self.target_U = about, target_U
        self.turns: list[Result] = []

    def take(self, figures: Figures, best_UK: Ints) -> Result:
        """Add one turn, and return it."""
        place_U = places_U(best_UK, self.target_U)
        before = self.turns[-1] if self.turns else {"tokens_so_far": 0, "seconds_so_far": 0.0}
        turn = {
            "epoch": len(self.turns) + 1,
            **figures,
            "tokens_so_far": before["tokens_so_far"] + figures["tokens"],
            "seconds_so_far": before["seconds_so_far"] + figures["epoch_seconds"],
            "hr_at_10": float(hits_U(place_U).mean()),
            "ndcg_at_10": float(ndcg_U(place_U).mean()),
        }
        self.turns.append(turn)
        return turn

    def as_json(self) -> Result:
        """Return all turns and their totals."""
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
    """Return the speed ratios with their range over turns, and the difference of the rankings.

    theirs, ours: from `TrainingCourse.as_json`, after as many turns.
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
        "is_goal_reached": bool(min(training, scoring) >= MIN_RATIO and difference >= MIN_HR_DIFFERENCE),
    }


def markdown(theirs: Result, ours: Result, ratios: Result) -> str:
    """Return the table of both, and ours at equal cost."""
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
        reached = (
            f"HR@10 {turn['hr_at_10']:.4f} after {turn['epoch']} epochs, {turn['seconds_so_far']:.0f} s"
            if turn
            else "at no end of an epoch"
        )
        lines.append(f"- ours, {name}: {reached}")
    return "\n".join(lines)


def _ratio(theirs: Result, ours: Result, rate: str) -> float:
    return float(ours[rate] / theirs[rate])


def _last(turns: Sequence[Result], cost: str, most: float) -> Result | None:
    """Return the last turn whose cost is at most `most`."""
    within = np.flatnonzero([turn[cost] <= most for turn in turns])
    return turns[within[-1]] if len(within) else None


def _spread(ratio: Result) -> str:
    return f"{ratio['ratio']:.1f} × ({ratio['least']:.1f} to {ratio['most']:.1f})"
