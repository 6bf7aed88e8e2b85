"""All that counts-1 learns, and what it is before it has learnt. Shape letters: P pairs of user and tag, T tags."""

from dataclasses import asdict, dataclass
from typing import Any

from model.arrays import Floats
from model.counts.calibration import AS_STATED, Calibration
from model.counts.features import affinity_features_PF, count
from model.counts.logistic import LogisticFormula
from model.counts.pairs import OwnTags, Pairs
from model.history import History

VERSION = "counts-1"
UNTUNED_HALF_LIFE_DAYS = 2.0  # what own counts do best with on Taobao (MODEL.md 3)


@dataclass(frozen=True)
class FitReport:
    """What the parameters were learnt from and how they did; figures are None where they could not be measured."""

    users: int
    ndcg_at_10: float | None = None  # of the affinities, on the users learnt from
    untuned_ndcg_at_10: float | None = None  # of UNTUNED on the same users
    held_out_ece: float | None = None  # of the formula alone, over the ten highest affinities of users not learnt from
    held_out_ece_bent: float | None = None  # of the same, bent by an isotonic regression


@dataclass(frozen=True)
class Counts1Parameters:
    """The fitted numbers; with the popularity of a day they are the model of that day."""

    half_life_days: float
    affinity: LogisticFormula
    calibration: Calibration
    returning: LogisticFormula
    report: FitReport

    def affinity_P(self, history: History, own: OwnTags, pairs: Pairs, share_T: Floats, moment: int) -> Floats:
        """Return a probability for each of `pairs`; `own` is that of `history`, all of it before `moment`."""
        counts = count(history, own, pairs, moment, self.half_life_days)
        return self.calibration.apply(self.affinity.probability_N(affinity_features_PF(counts, pairs, share_T)))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


# For a log too young to learn from.
UNTUNED = Counts1Parameters(
    half_life_days=UNTUNED_HALF_LIFE_DAYS,
    affinity=LogisticFormula(
        -1.5,
        {
            "log_own_count": 1.0,
            "is_own": 1.0,
            "log_popularity": 0.5,
            "log_activity": 0.0,
            "days_since_last_event": -0.05,
        },
    ),
    calibration=AS_STATED,
    returning=LogisticFormula(
        0.0,
        {"log_activity": 0.5, "days_since_last_event": -0.1, "log_session_count": 0.3, "log_event_count": 0.0},
    ),
    report=FitReport(users=0),
)
