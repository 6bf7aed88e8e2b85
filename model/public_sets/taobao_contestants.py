"""Who takes part on Taobao: the baselines, and the Transformer beside the best of them as paths."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from model.baselines.boosted_ranking import BoostedRanking
from model.baselines.grids import GRIDS
from model.baselines.lambda_mart import LambdaMart
from model.baselines.next_tag import NextTagBySessions, NextTagByTransition
from model.baselines.own_counts import OwnCounts
from model.baselines.transition import Bag, TransitionSettings
from model.baselines.vsknn import VsknnSettings
from model.evaluation.contestant import Contestant
from model.transformer.interest_ranker import TransformerContestant
from model.transformer.loss import LossWeights
from model.transformer.recipe import Recipe

PATHS = (
    OwnCounts(is_tuned=True),
    BoostedRanking(
        LambdaMart(trees=100, depth=3, learning_rate=0.1, least_weight_in_leaf=20.0, pair_method="mean", pairs=4)
    ),
    NextTagByTransition(TransitionSettings(bags=(Bag(0.98, 200),), ridge=1000.0)),
    NextTagBySessions(
        VsknnSettings(neighbours=500, query_steps=50, extended_to=30, idf_power=1.0, reminder=0.5, reminder_fading=0.95)
    ),
)
# Over the two newest days before the test day (paths alone, beside counts-1; nDCG@10 and F1@5): shares by presence
# .0036 and .0080 above, by the root of the number of events .0042 and .0078, by that number .0050 and .0068.
WEIGHTS = LossWeights(power=0.5)
# 800 users are few: a long or fast training learns them by heart, so it is short and gentle, and three are averaged.
TRANSFORMERS = tuple(
    TransformerContestant(
        networks=3,
        paths=PATHS,
        recipe=Recipe(epochs=epochs, learning_rate=learning_rate, weights=WEIGHTS),
    )
    for epochs, learning_rate in ((1, 3e-3), (2, 1e-3))
)
TAOBAO_FAMILIES: Mapping[str, Sequence[Contestant]] = MappingProxyType({**GRIDS, "transformer": TRANSFORMERS})
# Of a trial that only shows that all runs.
TRIAL_FAMILIES: Mapping[str, Sequence[Contestant]] = MappingProxyType(
    {**GRIDS, "transformer": (TransformerContestant(paths=(OwnCounts(is_tuned=False),), recipe=Recipe(epochs=1)),)}
)
