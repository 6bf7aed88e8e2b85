"""Which days of a file are plausible: where its lines lie, a year before, and three days after.

Times of receipt may lie a year after too: they are of a server's clock, and a file may hold rare lines.

A broken clock writes days of 1970 or 2037. Each would become an arrival day of its own, and the newest one a release.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline.sources.rules import Times

DAYS_BEFORE, DAYS_AFTER, DAYS_AFTER_OF_RECEIPT = 365, 3, 365
SPARSE = 0.02  # of the typical lines per day, or of the lines of the largest period
FEW_LINES = 10
LONG_BREAK_DAYS = 60
FAR_SHARE = 0.25  # of the lines of the largest period, for a period that lies farther away than a long break
LINES_IN_A_BREAK = 60  # a break in which so many lines would be expected ends a period

Days = NDArray[np.datetime64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """The first and the last plausible day."""

    earliest: date
    latest: date

    def contain(self, days: Days) -> NDArray[np.bool_]:
        """Return which of the days lie within the limits; NaT does not."""
        return (days >= np.datetime64(self.earliest)) & (days <= np.datetime64(self.latest))


def plausible_limits(days: Days, counts: Counts, times: Times, has_receipt: bool = False) -> Limits:
    """Return the limits of a file: those of `[times]` of its TOML, else by where its lines lie.

    Its lines lie in periods: runs of days with lines, without a long break. The largest period counts, and each other
    one that is no handful of strays: at least FEW_LINES lines and a share of the lines of the largest.

    days, counts: the distinct days of the lines of a file, in order, and how many lines each has; at least one.
    has_receipt: whether the days are those of receipt.
    """
    first, last = bulk_of(days, counts)
    earliest, latest = (
        first - timedelta(days=DAYS_BEFORE),
        last + timedelta(days=DAYS_AFTER_OF_RECEIPT if has_receipt else DAYS_AFTER),
    )
    return Limits(times.earliest or earliest, times.latest or latest)


def bulk_of(days: Days, counts: Counts) -> tuple[date, date]:
    """Return the first and the last day of the periods that count; see `plausible_limits`."""
    typical = _quantile(counts, counts, 0.25)  # one day of very many lines must not make the others look sparse
    is_dense = counts > SPARSE * typical
    days, counts = days[is_dense], counts[is_dense]
    gaps = np.diff(days).astype(np.int64)
    starts = np.concatenate([[0], np.flatnonzero(gaps > _longest_break(gaps, counts, typical)) + 1])
    ends = np.append(starts[1:], len(days)) - 1
    lines = np.add.reduceat(counts, starts)
    largest = int(lines.argmax())
    first, last = days[starts[largest]], days[ends[largest]]
    by_distance = np.argsort(
        [_distance(days[start], days[end], first, last) for start, end in zip(starts, ends, strict=True)]
    )
    for period in by_distance:
        start, end = days[starts[period]], days[ends[period]]
        share = SPARSE if _distance(start, end, first, last) <= LONG_BREAK_DAYS else FAR_SHARE
        if period == largest or lines[period] >= max(FEW_LINES, share * lines[largest]):
            first, last = min(first, start), max(last, end)
    return date.fromisoformat(str(first)), date.fromisoformat(str(last))


def _longest_break(gaps: Counts, counts: Counts, typical: int) -> float:
    """Return how many days may lie between two days of one period.

    A log with a rhythm, such as one day a week, may miss two turns. In a log with few lines, days without any are
    normal.
    """
    if not len(gaps):
        return LONG_BREAK_DAYS
    to_nearest = np.minimum(np.append(gaps, gaps.max()), np.insert(gaps, 0, gaps.max()))
    rhythm = _quantile(to_nearest, counts, 0.5)
    return min(max(3 * rhythm, LINES_IN_A_BREAK / typical, 3), LONG_BREAK_DAYS)


def _distance(start: np.datetime64, end: np.datetime64, first: np.datetime64, last: np.datetime64) -> int:
    """Return the days between two ranges of days; 0 or less if they meet."""
    return int(max((start - last).astype(int), (first - end).astype(int)))


def _quantile(values: Counts, weights: Counts, share: float) -> int:
    """Return the value that a share of the weights does not exceed."""
    order = np.argsort(values, kind="stable")
    cumulative = weights[order].cumsum()
    return int(values[order][np.searchsorted(cumulative, share * cumulative[-1])])
