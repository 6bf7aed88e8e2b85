"""The network as a model of the next item. Neither the validation nor the test item is in its training data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.baselines.interactions import Interactions
from model.transformer.distributed import Runtime
from tests.bench.next_item.network import NextItemNet
from tests.bench.next_item.ranker import NetRanker
from tests.bench.next_item.trainer import ItemTrainingConfig, Progress, train_net
from tests.bench.public_sets.next_item import LeaveOneOut, ndcg_U, ranks_U


@dataclass(frozen=True)
class NextItemModel:
    """A network; fitting keeps the epoch with the best nDCG@10 on `validation`."""

    config: ItemTrainingConfig
    validation: LeaveOneOut
    progress: Progress = lambda step: None
    runtime: Runtime | None = None  # None: one process
    name: str = "next-item net"

    def settings(self) -> Mapping[str, Any]:
        return self.config.as_json()

    def fit(self, known: Interactions) -> NetRanker:
        """Return the trained network. known: without the target items of `validation`."""

        def validate(net: NextItemNet) -> float:
            return float(ndcg_U(ranks_U(NetRanker(net), self.validation, self.config.newest)).mean())

        return NetRanker(train_net(known, self.config, validate, self.progress, self.runtime))
