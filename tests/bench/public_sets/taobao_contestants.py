"""Who takes part on Taobao: the baselines, and the Transformer beside the best of them as paths."""

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
# On the same days the stack beside counts, transition and sessions as paths of their own ranked worse than the stack
# alone (nDCG@10 .0066 above counts-1, F1@5 .0064): half of the users teach what weighs the paths.
PATHS = (STACKED,)
# Over the two newest days before the test day (paths alone, beside counts-1; nDCG@10 and F1@5): shares by presence
# .0036 and .0080 above, by the root of the number of events .0042 and .0078, by that number .0050 and .0068.
WEIGHTS = LossWeights(power=0.5)
# 800 users are few: within one epoch the network moves no tag of anybody's first ten, after four epochs it ranks worse
# (nDCG@10 .0076 above counts-1 instead of .0093 on the two newest days).
TRANSFORMERS = (
    TransformerModel(networks=3, paths=PATHS, recipe=TrainingConfig(epochs=1, learning_rate=3e-3, weights=WEIGHTS)),
)
TAOBAO_FAMILIES: Mapping[str, Sequence[Model]] = MappingProxyType(
    {**GRIDS, STACKED.name: (STACKED,), "transformer": TRANSFORMERS}
)
# Of a trial that only shows that all runs.
TRIAL_FAMILIES: Mapping[str, Sequence[Model]] = MappingProxyType(
    {**GRIDS, "transformer": (TransformerModel(paths=(OwnCounts(is_tuned=False),), recipe=TrainingConfig(epochs=1)),)}
)
