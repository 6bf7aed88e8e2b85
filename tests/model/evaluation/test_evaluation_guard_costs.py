"""The leakage check fits a cheaper version of a costly model, and still detects a leak."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from model.baselines.simple import OwnCounts
from model.boosting.ranker import LambdaMart
from model.data.arrays import Floats
from model.data.cutoffs import Cutoffs
from model.data.folds import Histories
from model.data.history import History
from model.evaluation.backtest import evaluate
from model.evaluation.leakage import LeakError
from model.interfaces import FittedModel, Model, TrainingData
from model.transformer.config import TrainingConfig
from model.transformer.fit import TransformerModel
from tests.bench.stacked_ranking import StackedRanking


@dataclass(frozen=True, eq=False)
class Costly(Model):
    """Trains for some rounds; counts the touches of a history that it keeps."""

    whole: History
    rounds: int = 8
    rounds_of_fits: list[int] = field(default_factory=list)
    predicts_probabilities: bool = False
    name: str = "costly"

    def settings(self) -> Mapping[str, Any]:
        return {}

    def for_leakage_check(self) -> "Costly":
        return replace(self, rounds=1)

    def fit(self, data: TrainingData) -> FittedModel:
        self.rounds_of_fits.append(self.rounds)
        whole = self.whole

        class Counting:
            def scores_UT(self, past: History) -> Floats:
                count_UT = np.zeros((whole.users, len(whole.tag_T)))
                np.add.at(count_UT, (whole.user_E[whole.event_M], whole.tag_M), 1.0)
                user_U, tag_T = (
                    np.searchsorted(*names) for names in ((whole.user_id_U, past.user_id_U), (whole.tag_T, past.tag_T))
                )
                return count_UT[np.ix_(user_U, tag_T)]

        return Counting()


def test_the_check_fits_the_cheap_model_twice_and_the_full_one_is_tested(known: Histories, windows: Cutoffs) -> None:
    honest = Costly(known[windows.test])
    evaluate(known, windows, {"costly": [honest]})
    assert honest.rounds_of_fits == [8, 8, 1, 1]  # validation, test, leakage check


def test_a_leak_of_a_costly_model_is_detected(known: Histories, windows: Cutoffs) -> None:
    with pytest.raises(LeakError, match="costly has seen the future"):
        evaluate(known, windows, {"costly": [Costly(known[windows.last])]})


def small(**changes: Any) -> TransformerModel:
    return TransformerModel(
        networks=2, training_config=TrainingConfig(epochs=3), stacked_models=(OwnCounts(is_tuned=False),), **changes
    )


def test_the_check_trains_one_network_for_one_epoch_with_all_else_equal() -> None:
    whole = small(cutoffs_per_window=7)
    cheap = whole.for_leakage_check()
    assert (cheap.networks, cheap.training_config.epochs) == (1, 1)
    assert replace(cheap, networks=2, training_config=whole.training_config) == whole


def test_the_check_grows_one_small_forest_of_a_stacked_ranking() -> None:
    stacked = StackedRanking(
        LambdaMart(200, 3, 0.05, 20.0, "topk", 10), forests=5, methods=(OwnCounts(is_tuned=False),)
    )
    (cheap,) = replace(small(), stacked_models=(stacked,)).for_leakage_check().stacked_models
    assert isinstance(cheap, StackedRanking)
    assert (cheap.forests, cheap.lambda_mart.trees) == (1, 20)
    assert replace(cheap, forests=5, lambda_mart=stacked.lambda_mart) == stacked


@dataclass(frozen=True)
class LeakingTransformer(TransformerModel):
    """Is fitted to a history that it was not given and that includes the test window."""

    whole: Any = None

    def fit(self, data: TrainingData) -> Any:
        return super().fit(replace(data, past=self.whole))


def few(history: History) -> History:
    return history.of_users(np.arange(history.users) < 60)


def test_a_leak_of_a_transformer_is_detected_after_one_epoch(known: Histories, windows: Cutoffs) -> None:
    some = {day: few(history) for day, history in known.items()}
    tiny = replace(small(), networks=1, training_config=TrainingConfig(epochs=1))
    with pytest.raises(LeakError, match="transformer has seen the future"):
        evaluate(some, windows, {"transformer": [LeakingTransformer(**vars(tiny), whole=some[windows.last])]})
