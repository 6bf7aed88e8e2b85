"""The net as a contestant of the next item. What it is fitted on has seen neither question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.baselines.interactions import Interactions
from tests.bench.next_item.network import NextItemNet
from tests.bench.next_item.ranker import NetRanker
from tests.bench.next_item.trainer import ItemRecipe, Told, train_net
from tests.bench.public_sets.next_item import Question, ndcg_U, ranks_U


@dataclass(frozen=True)
class NetOfItems:
    """A net; the epoch that is kept ranks the items of `validation` best, by nDCG@10."""

    recipe: ItemRecipe
    validation: Question
    told: Told = lambda progress: None
    name: str = "next-item net"

    def settings(self) -> Mapping[str, Any]:
        return self.recipe.as_json()

    def fit(self, known: Interactions) -> NetRanker:
        """Return the trained net. known: without the items that `validation` asks for."""

        def judge(net: NextItemNet) -> float:
            return float(ndcg_U(ranks_U(NetRanker(net), self.validation, self.recipe.newest)).mean())

        return NetRanker(train_net(known, self.recipe, judge, self.told))
