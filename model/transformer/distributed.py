"""Where a network runs: a training in one process or several (torchrun), on CPUs or GPUs; a scoring in threads.

A training by several processes of this machine: each walks through the same command, and they share every step of a
network. The first of them tells, keeps and promotes.

Several machines are started by `torchrun` itself, which this leaves alone.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric
import sys

from model.errors import ANYTHING_ELSE

Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Runtime:
    """One process on one CPU, unless told otherwise.

    On CPUs bf16 wins nothing where they have AVX512_BF16 and takes seven times as long where not (both measured), and
    a network of this size repays no compilation, so both are for GPUs.
    """

    accelerator: Literal["cpu", "cuda"] = "cpu"
    precision: Precision = "32-true"
    is_compiled: bool = False
    ranks_here: int = 1  # on each node
    nodes: int = 1

    @classmethod
    def found(cls, environment: Mapping[str, str] = os.environ) -> "Runtime":
        """Return the machine that this process runs on: GPUs where there are any, as many ranks as torchrun started."""
        ranks_here = int(environment.get("LOCAL_WORLD_SIZE", 1))
        nodes = int(environment.get("WORLD_SIZE", 1)) // ranks_here
        if not torch.cuda.is_available():
            return cls(ranks_here=ranks_here, nodes=nodes)
        precision: Precision = "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
        return cls("cuda", precision, True, ranks_here, nodes)

    def fabric(self) -> "Fabric":
        """Join the other ranks, where there are any, and return what moves, averages and casts."""
        # Importing it takes seconds, which scoring need not wait for.
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        is_alone = self.ranks_here * self.nodes == 1
        fabric = Fabric(
            accelerator=self.accelerator,
            devices=self.ranks_here,
            num_nodes=self.nodes,
            precision=self.precision,
            # A part that the loss does not ask, such as the decoder of tag sequences, has no gradient to wait for.
            strategy="auto" if is_alone else DDPStrategy(find_unused_parameters=True),
        )
        fabric.launch()
        return fabric

    def readied(self, network: nn.Module) -> None:
        """Have the network compiled at its first call, where that pays; its weights keep their names."""
        if self.is_compiled:
            network.compile(dynamic=True)


def scoring_device() -> torch.device:
    """Return where a trained network scores: on the first GPU that this process sees, else on the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cores() -> int:
    """Return how many cores this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scoring_threads(count: int | None = None) -> ThreadPoolExecutor:
    """Return a pool of `count` threads, by default one a core of this process, in each of which torch computes alone.

    What is asked of a few hundred users is too small for the cores to share, so each core takes users of its own.
    """
    return ThreadPoolExecutor(count or cores(), initializer=torch.set_num_threads, initargs=(1,))


LOOPBACK = "127.0.0.1"


def leads() -> bool:
    """Return whether this process is the first of its ranks, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def is_for_ranks(ranks: int) -> bool:
    """Return whether this process is to start ranks, rather than to be one."""
    return ranks > 1 and "WORLD_SIZE" not in os.environ


def run_by_ranks(ranks: int, arguments: list[str]) -> None:
    """Run `python -m model` with the arguments as so many ranks, to their end.

    Exits with the code of the rank that failed first, if any did; its own words came before.
    """
    # They take a second to import, which one process need not wait for.
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // ranks)))
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks,
        run_id="training",
        rdzv_backend="c10d",
        rdzv_endpoint=f"{LOOPBACK}:0",
        local_addr=LOOPBACK,
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "model", *arguments)
    except ChildFailedError as failed:
        code = failed.get_first_failure()[1].exitcode
        sys.exit(code if code > 0 else ANYTHING_ELSE)
