"""A training by several processes of this machine: each walks through the same command, and they share every step of a
network. The first of them tells, keeps and promotes.

Several machines are started by `torchrun` itself, which this leaves alone.
"""

import os
import sys

from model.errors import ANYTHING_ELSE
from model.transformer.machine import cores

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
