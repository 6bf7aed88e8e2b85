"""The runtime of a network: CPU or GPU, one process or several ranks, and the threads of scoring.

A training by several ranks on this machine is started by `launch_ranks`: each rank runs the same command, and they
share the work of every step. The main rank prints, saves and promotes. A training on several machines is started by
`torchrun`.
"""

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from model.errors import ANYTHING_ELSE

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class SingleProcess:
    """What a training uses of a Fabric, for one process."""

    device: torch.device
    global_rank: int = 0
    world_size: int = 1
    is_global_zero: bool = True

    def setup(self, module: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        return module.to(self.device), optimizer

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Runtime:
    """Where a training runs; by default one process on one CPU.

    Numbers are float32 and nothing is compiled. A step has a thousand small operations, so a GPU waits for launches.
    The casts of bf16-mixed add operations: on an H100 they halve the speed of every size. Compilation took over 85 s
    there, more than the whole training of the demo.
    """

    accelerator: Literal["cpu", "cuda"] = "cpu"
    ranks_per_node: int = 1
    nodes: int = 1

    @classmethod
    def detect(cls, environment: Mapping[str, str] = os.environ) -> "Runtime":
        """Return the runtime of this process: a GPU if there is one, and the ranks that torchrun started."""
        ranks_per_node = int(environment.get("LOCAL_WORLD_SIZE", 1))
        nodes = int(environment.get("WORLD_SIZE", 1)) // ranks_per_node
        if not torch.cuda.is_available():
            return cls(ranks_per_node=ranks_per_node, nodes=nodes)
        return cls("cuda", ranks_per_node=ranks_per_node, nodes=nodes)

    def fabric(self) -> "Fabric | SingleProcess":
        """Join the other ranks, if any, and return what moves data and averages gradients."""
        if self.ranks_per_node * self.nodes == 1:
            return SingleProcess(torch.device(self.accelerator))
        # The import takes 4 CPU seconds.
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        fabric = Fabric(
            accelerator=self.accelerator,
            devices=self.ranks_per_node,
            num_nodes=self.nodes,
            # Some parameters get no gradient on a rank whose batch lacks the labels of a part of the loss.
            strategy=DDPStrategy(find_unused_parameters=True),
        )
        fabric.launch()
        return fabric


def scoring_device() -> torch.device:
    """Return the first visible GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scoring_threads(count: int | None = None) -> ThreadPoolExecutor:
    """Return a pool of threads, by default one per available core; torch uses one core in each.

    Batches of a few hundred users are too small to be shared by cores, so each core scores its own users.
    """
    return ThreadPoolExecutor(count or available_cores(), initializer=torch.set_num_threads, initargs=(1,))


def is_main_rank() -> bool:
    """Return whether this process is rank 0, or the only process."""
    return os.environ.get("RANK", "0") == "0"


def should_launch_ranks(ranks: int) -> bool:
    """Return whether this process should start ranks, instead of being one."""
    return ranks > 1 and "WORLD_SIZE" not in os.environ


def launch_ranks(ranks: int, arguments: list[str]) -> None:
    """Run `python -m model` with the arguments on several ranks and wait for them.

    Exits with the code of the first rank that failed, if any. That rank has printed its message.
    """
    # These imports take a second, and a training on one process does not need them.
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // ranks)))
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
