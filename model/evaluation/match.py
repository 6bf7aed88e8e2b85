"""Contestants side by side: who leads, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.bootstrap import Difference, paired_difference
from model.counts.parameters import VERSION as COUNTS
from model.evaluation.judged import MAIN, WITH_INTERVALS, Judged

Differences = Mapping[str, Difference]  # by metric


@dataclass(frozen=True, eq=False)
class Standing:
    """One contestant with its 95 % intervals; what is compared with itself has no difference."""

    judged: Judged
    intervals: Differences
    against_best: Differences | None
    against_counts: Differences | None  # None too where counts-1 was not judged


@dataclass(frozen=True, eq=False)
class Match:
    """Best first by nDCG@10. The best is chosen on the days that judge, so its lead over the next is a little kind."""

    standings: tuple[Standing, ...]

    @property
    def best(self) -> Judged:
        return self.standings[0].judged

    def of(self, name: str) -> Standing | None:
        return next((one for one in self.standings if one.judged.name == name), None)


def match(judged: Sequence[Judged]) -> Match:
    """Compare contestants judged on the same users, by resampling users in pairs.

    Raises ValueError if there is no contestant, or if two have the same name.
    """
    names = [one.name for one in judged]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"contestants {names}: expected at least one, each of a name of its own")
    ranked = sorted(judged, key=lambda one: -one.figures[MAIN])
    best = ranked[0]
    counts = next((one for one in ranked if one.name == COUNTS), None)
    return Match(
        tuple(
            Standing(
                judged=one,
                intervals={metric: one.interval(metric) for metric in WITH_INTERVALS},
                against_best=_differences(one, best),
                against_counts=_differences(one, counts),
            )
            for one in ranked
        )
    )


def _differences(one: Judged, other: Judged | None) -> Differences | None:
    if other is None or other is one:
        return None
    return {metric: paired_difference(one.value_of[metric], other.value_of[metric]) for metric in WITH_INTERVALS}
