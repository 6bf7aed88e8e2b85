"""The settings grid of each baseline of the evaluation.

All grids together are tuned on hundreds of users and thousands of tags in about a minute.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from model.baselines.next_tag import NextTagBySessions, NextTagByTransition
from model.baselines.simple import DecayedCounts, LastSession, OwnCounts, RecentPopularity
from model.baselines.transition import Bag, TransitionSettings
from model.baselines.vsknn import VsknnSettings
from model.boosting.ranker import BoostedRanking, LambdaMart, PairMethod
from model.boosting.returning import ReturnBoosting
from model.interfaces import Model

PAIRINGS: tuple[tuple[PairMethod, int], ...] = (("mean", 4), ("topk", 10))  # of LambdaMART

_POPULARITY = tuple(RecentPopularity(half_life_days=days) for days in (0.25, 0.5, 1.0, 2.0, 7.0, 28.0))
_LAST_SESSION = tuple(LastSession(popularity_half_life_days=days) for days in (1.0, 7.0, 28.0))
_DECAYED_COUNTS = tuple(DecayedCounts(half_life_days=days) for days in (0.25, 0.5, 1.0, 2.0, 4.0, 7.0, 14.0, 28.0))
# Untuned first: the tuned one is chosen only if it is better on the validation window.
_OWN_COUNTS = tuple(OwnCounts(is_tuned=is_tuned) for is_tuned in (False, True))
_TRANSITION = tuple(
    NextTagByTransition(TransitionSettings(bags=bags, ridge=ridge))
    for bags in ((Bag(0.6, 10), Bag(0.93, 50)), (Bag(0.8, 20), Bag(0.98, 200)), (Bag(0.98, 200),))
    for ridge in (100.0, 1000.0, 10_000.0)
)
_VSKNN = tuple(
    NextTagBySessions(
        VsknnSettings(
            neighbours=neighbours,
            query_steps=50,
            extended_to=extended_to,
            idf_power=1.0,
            reminder=reminder,
            reminder_fading=fading,
        )
    )
    for neighbours in (100, 500)
    for extended_to in (0, 30)
    for reminder, fading in ((0.0, 0.85), (0.5, 0.85), (0.5, 0.95), (0.8, 0.95))
)
_BOOSTED_RANKING = tuple(
    BoostedRanking(
        LambdaMart(
            trees=trees,
            depth=depth,
            learning_rate=0.1,
            least_weight_in_leaf=least_weight_in_leaf,
            pair_method=pair_method,
            pairs=pairs,
        )
    )
    for pair_method, pairs in PAIRINGS
    for trees in (100, 200)
    for depth in (2, 3)
    for least_weight_in_leaf in (1.0, 20.0)
)

GRIDS: Mapping[str, Sequence[Model]] = MappingProxyType(
    {
        grid[0].name: grid
        for grid in (
            _POPULARITY,
            _LAST_SESSION,
            _DECAYED_COUNTS,
            _OWN_COUNTS,
            _TRANSITION,
            _VSKNN,
            _BOOSTED_RANKING,
        )
    }
)

RETURN_GRID = tuple(
    ReturnBoosting(learning_rate=0.05, trees=trees, leaves=leaves, least_weight_in_leaf=5.0)
    for trees in (25, 50, 100)
    for leaves in (3, 7)
)
