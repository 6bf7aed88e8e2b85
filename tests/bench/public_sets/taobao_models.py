"""The models on Taobao: the baselines, and the Transformer with the stack as its feature."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from model.baselines.grids import GRIDS
from model.baselines.next_tag import NextTagBySessions, NextTagByTransition
from model.baselines.simple import OwnCounts
from model.baselines.transition import Bag, TransitionSettings
from model.baselines.vsknn import VsknnSettings
from model.boosting.ranker import LambdaMart
from model.interfaces import Model
from model.transformer.config import LossWeights, TrainingConfig
from model.transformer.fit import TransformerModel
from tests.bench.stacked_ranking import StackedRanking

METHODS = (
    NextTagByTransition(TransitionSettings(bags=(Bag(0.98, 200),), ridge=1000.0)),
    NextTagBySessions(
        VsknnSettings(neighbours=500, query_steps=50, extended_to=30, idf_power=1.0, reminder=0.5, reminder_fading=0.95)
    ),
)
# Chosen on the three days before the test day: there three such forests lie .0097 [.0049, .0143] above counts-1 in
# nDCG@10 and .0087 [.0051, .0126] in F1@5, boosted ranking (topk, 200 trees of depth 2) .0045 and .0029.
STACKED = StackedRanking(
    LambdaMart(
        trees=200,
        depth=3,
        learning_rate=0.05,
        least_weight_in_leaf=20.0,
        pair_method="topk",
        pairs=10,
        share_of_rows=0.5,
        share_of_features=0.5,
    ),
    forests=5,
    methods=METHODS,
)
# On the same days the stack with counts, transition and sessions as further features ranked worse than the stack alone
# (nDCG@10 .0066 above counts-1, F1@5 .0064): only half of the users fit the weights of the features.
PATHS = (STACKED,)
# On the two newest days before the test day (features alone, differences to counts-1 in nDCG@10 and F1@5): shares by
# presence .0036 and .0080, by the root of the number of events .0042 and .0078, by that number .0050 and .0068.
WEIGHTS = LossWeights(power=0.5)
# 800 users are few: in one epoch the network changes none of the first ten tags, after four epochs it ranks worse
# (nDCG@10 .0076 above counts-1 instead of .0093 on the two newest days).
TRANSFORMERS = (
    TransformerModel(
        networks=3, stacked_models=PATHS, training_config=TrainingConfig(epochs=1, learning_rate=3e-3, weights=WEIGHTS)
    ),
)
TAOBAO_GRIDS: Mapping[str, Sequence[Model]] = MappingProxyType(
    {**GRIDS, STACKED.name: (STACKED,), "transformer": TRANSFORMERS}
)
# For a trial that only shows that all models run.
TRIAL_GRIDS: Mapping[str, Sequence[Model]] = MappingProxyType(
    {
        **GRIDS,
        "transformer": (
            TransformerModel(stacked_models=(OwnCounts(is_tuned=False),), training_config=TrainingConfig(epochs=1)),
        ),
    }
)
