"""The public sets by name, and the tasks of each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from model.baselines.grids import GRIDS
from model.data.arrays import Bools
from model.data.cutoffs import Cutoffs
from model.data.users import lowest_hash_users_U
from model.errors import UsageError
from tests.bench.public_sets import beauty, files, movielens
from tests.bench.public_sets.item_bench import bench_items
from tests.bench.public_sets.item_models import BEAUTY_GRIDS, MOVIELENS_GRIDS
from tests.bench.public_sets.ordered_interactions import of_users
from tests.bench.public_sets.results import SetResult
from tests.bench.public_sets.tag_bench import bench_tags, daily_split
from tests.bench.public_sets.taobao import read_taobao
from tests.bench.public_sets.taobao_models import TAOBAO_GRIDS, TRIAL_GRIDS

Progress = Callable[[str], None]
One = TypeVar("One")
SETTINGS_OF_A_TRIAL = 2
ALL_USERS = 1_000_000_000
FIRST_TAOBAO_CUTOFF = date(2017, 11, 26)  # the log begins in the evening of the 24th
# Sessions are single items and tags are few, so most sessions share one: V-SKNN costs the square of the users.
MAX_BEAUTY_TAG_USERS = 5_000
# A day is a step: the last item of each user, the one before, two for training. Each user has at least five.
BEAUTY_SPLIT = daily_split(beauty.LAST_DAY - timedelta(days=1), train_days=2)


def taobao_split(test: date) -> Cutoffs:
    """Return the split of Taobao: history through the day `test` UTC, tags of the next day; all days before train.

    Raises UsageError if no training day is left.
    """
    train_days = (test - FIRST_TAOBAO_CUTOFF).days - 1
    if train_days < 1:
        raise UsageError(f"as of {test} no training day of Taobao is left: expected 2017-11-28 or later")
    return daily_split(test, train_days)


TAOBAO_SPLIT = taobao_split(date(2017, 12, 1))


def bench_set(name: str, folder: Path, quick: bool, progress: Progress) -> SetResult:
    """Tune and evaluate every baseline on a set, and the Transformer on Taobao.

    folder: that of all public sets. quick: only a sample of the users. progress: called with the current activity.
    Raises UsageError if there is no such set, InputError if a file of it is missing.
    """
    if name not in _BENCHES:
        raise UsageError(f"no public set {name!r}: expected one of {', '.join(_BENCHES)}")
    bench, quick_users = _BENCHES[name]
    return bench(folder, quick_users if quick else None, progress)


def _bench_taobao(folder: Path, users: int | None, progress: Progress) -> SetResult:
    log = read_taobao(folder)
    progress(f"read {len(log.history.at_E):,} events; broken lines left out: {log.broken_lines}")
    history = log.history.of_users(lowest_hash_users_U(log.history.user_id_U, users or ALL_USERS))
    grids = _tried(TRIAL_GRIDS if users else TAOBAO_GRIDS, users)
    task = bench_tags("tags of the next day", history, TAOBAO_SPLIT, grids, progress)
    return SetResult("taobao", files.TAOBAO.title, users, [task])


def _bench_movielens(folder: Path, users: int | None, progress: Progress) -> SetResult:
    interactions = movielens.read_movielens(folder)
    some = of_users(interactions, lowest_hash_users_U(map(str, range(interactions.users)), users or ALL_USERS))
    task = bench_items(some, movielens.NEWEST, _tried(MOVIELENS_GRIDS, users), progress)
    return SetResult("movielens", files.MOVIELENS.title, users, [task])


def _bench_beauty(folder: Path, users: int | None, progress: Progress) -> SetResult:
    everything = beauty.read_beauty(folder)
    some = of_users(everything.interactions, _of_beauty(everything, users or ALL_USERS))
    fewer_U = _of_beauty(everything, users or MAX_BEAUTY_TAG_USERS)
    history = beauty.attribute_history(everything).of_users(fewer_U)
    tasks = [
        bench_items(some, beauty.NEWEST, _tried(BEAUTY_GRIDS, users), progress),
        bench_tags("tags of the last item", history, BEAUTY_SPLIT, _tried(GRIDS, users), progress),
    ]
    return SetResult("beauty", files.BEAUTY.title, users, tasks)


def _tried(grids: Mapping[str, Sequence[One]], users: int | None) -> Mapping[str, Sequence[One]]:
    """Return all settings of each grid; a quick trial uses the first ones only."""
    return {name: grid[: SETTINGS_OF_A_TRIAL if users else None] for name, grid in grids.items()}


def _of_beauty(everything: beauty.Beauty, at_most: int) -> Bools:
    return lowest_hash_users_U(map(str, range(everything.interactions.users)), at_most)


# By name: the benchmark, and the number of users of a quick trial.
_BENCHES: Mapping[str, tuple[Callable[[Path, int | None, Progress], SetResult], int]] = MappingProxyType(
    {"taobao": (_bench_taobao, 200), "movielens": (_bench_movielens, 300), "beauty": (_bench_beauty, 1000)}
)
