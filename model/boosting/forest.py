"""The part of boosting-1 that is trained and kept. Shape letters: P pairs of user and tag, T tags."""

from dataclasses import dataclass

from model.arrays import Floats
from model.boosting.features import features_PF
from model.boosting.trees import Trees
from model.counts.calibration import Calibration
from model.counts.pairs import OwnTags, Pairs
from model.history import History


@dataclass(frozen=True, eq=False)
class Forest:
    """An AffinityOfPairs. What was popular is no part of it: it is of the day scored, as for counts-1."""

    actions: tuple[str, ...]  # counted one by one
    trees: Trees
    calibration: Calibration

    def __call__(self, history: History, own: OwnTags, pairs: Pairs, share_T: Floats, moment: int) -> Floats:
        """Return the probability that each pair is touched within 7 days after `moment`."""
        features = features_PF(history, own, pairs, share_T, moment, self.actions)
        return self.calibration.apply(self.trees.probability_P(features))
