"""`counts-1` before the referee: decayed own counts and popularity. Shape letters: U users, T tags, P pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from model.arrays import Floats
from model.baselines.vocabulary import candidates_of
from model.counts.learn import learn
from model.counts.lesson import Lesson
from model.counts.parameters import UNTUNED, VERSION, Counts1Parameters
from model.counts.popularity import Popularity, popularity
from model.history import History


@dataclass(frozen=True, eq=False)
class CountsRanker:
    """A Ranker: the formula of counts-1 as of a cut."""

    fitted: Counts1Parameters
    crowd: Popularity
    cut: int  # moment

    def as_of(self, past: History, cut: int) -> "CountsRanker":
        """Return what it is at another cut, with what it has learnt. past: everybody known then."""
        return replace(self, crowd=popularity(past, cut), cut=cut)

    def strength_UT(self, past: History) -> Floats:
        """Return the affinity of own and popular tags, of all others less, by popularity."""
        asked = candidates_of(past, self.crowd)
        return asked.filled_up_UT(self.fitted.affinity_P(asked.past, asked.own, asked.pairs, asked.share_T, self.cut))


@dataclass(frozen=True)
class OwnCounts:
    """A Contestant."""

    is_tuned: bool  # by the newest window taught; else the parameters that counts-1 starts from

    @property
    def name(self) -> str:
        return VERSION

    @property
    def states_probabilities(self) -> bool:
        return True

    def settings(self) -> Mapping[str, Any]:
        return asdict(self)

    def prepare(self, taught: Sequence[Lesson], past: History, cut: int) -> CountsRanker:
        """Return counts-1 as of `cut`; untuned where nothing was taught."""
        fitted = learn(taught[-1]) if self.is_tuned and taught else UNTUNED
        return CountsRanker(fitted, popularity(past, cut), cut)
