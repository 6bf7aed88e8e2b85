"""The public sets by name, and what is asked of each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from model.baselines.grids import GRIDS
from model.data.arrays import Bools
from model.data.cutoffs import Split
from model.data.users import lowest_hash_users_U
from model.errors import UsageError
from tests.bench.public_sets import beauty, files, movielens
from tests.bench.public_sets.item_bench import bench_items
from tests.bench.public_sets.item_contestants import BEAUTY_FAMILIES, MOVIELENS_FAMILIES
from tests.bench.public_sets.orders import of_users
from tests.bench.public_sets.results import SetResult
from tests.bench.public_sets.tag_bench import bench_tags, daily_split
from tests.bench.public_sets.taobao import read_taobao
from tests.bench.public_sets.taobao_contestants import TAOBAO_FAMILIES, TRIAL_FAMILIES

Told = Callable[[str], None]
One = TypeVar("One")
SETTINGS_OF_A_TRIAL = 2
EVERYBODY = 1_000_000_000
FIRST_TAOBAO_CUT = date(2017, 11, 26)  # the log begins in the evening of the 24th
# Sessions are single items and tags are few, so most sessions share one: V-SKNN costs the square of the users.
MOST_BEAUTY_TAG_USERS = 5_000
# A day is a step: the last item of each user, the one before, two to learn from. Everybody has five.
BEAUTY_SPLIT = daily_split(beauty.LAST_DAY - timedelta(days=1), taught=2)


def taobao_split(test: date) -> Split:
    """Return what is asked of Taobao: history through the day `test` UTC, what is touched on the next; all days teach.

    Raises UsageError if no day is left to teach.
    """
    taught = (test - FIRST_TAOBAO_CUT).days - 1
    if taught < 1:
        raise UsageError(f"as of {test} no day of Taobao's is left to teach: expected 2017-11-28 or later")
    return daily_split(test, taught)


TAOBAO_SPLIT = taobao_split(date(2017, 12, 1))


def bench_set(name: str, folder: Path, quick: bool, told: Told) -> SetResult:
    """Tune and judge every baseline on a set, and on Taobao the Transformer.

    folder: that of all public sets. quick: a sample of the users only, to try it out. told: called with what is done.
    Raises UsageError if there is no such set, InputError if a file of it is missing.
    """
    if name not in _BENCHES:
        raise UsageError(f"no public set {name!r}: expected one of {', '.join(_BENCHES)}")
    bench, quick_users = _BENCHES[name]
    return bench(folder, quick_users if quick else None, told)


def _bench_taobao(folder: Path, users: int | None, told: Told) -> SetResult:
    log = read_taobao(folder)
    told(f"read {len(log.history.at_E):,} events; broken lines left out: {log.broken_lines}")
    history = log.history.of_users(lowest_hash_users_U(log.history.user_id_U, users or EVERYBODY))
    families = _tried(TRIAL_FAMILIES if users else TAOBAO_FAMILIES, users)
    task = bench_tags("tags of the next day", history, TAOBAO_SPLIT, families, told)
    return SetResult("taobao", files.TAOBAO.title, users, [task])


def _bench_movielens(folder: Path, users: int | None, told: Told) -> SetResult:
    interactions = movielens.read_movielens(folder)
    some = of_users(interactions, lowest_hash_users_U(map(str, range(interactions.users)), users or EVERYBODY))
    task = bench_items(some, movielens.NEWEST, _tried(MOVIELENS_FAMILIES, users), told)
    return SetResult("movielens", files.MOVIELENS.title, users, [task])


def _bench_beauty(folder: Path, users: int | None, told: Told) -> SetResult:
    everything = beauty.read_beauty(folder)
    some = of_users(everything.interactions, _of_beauty(everything, users or EVERYBODY))
    fewer_U = _of_beauty(everything, users or MOST_BEAUTY_TAG_USERS)
    history = beauty.attribute_history(everything).of_users(fewer_U)
    tasks = [
        bench_items(some, beauty.NEWEST, _tried(BEAUTY_FAMILIES, users), told),
        bench_tags("tags of the last item", history, BEAUTY_SPLIT, _tried(GRIDS, users), told),
    ]
    return SetResult("beauty", files.BEAUTY.title, users, tasks)


def _tried(families: Mapping[str, Sequence[One]], users: int | None) -> Mapping[str, Sequence[One]]:
    """Return all settings of each family, for a trial on some users as many as show that tuning runs."""
    return {name: family[: SETTINGS_OF_A_TRIAL if users else None] for name, family in families.items()}


def _of_beauty(everything: beauty.Beauty, at_most: int) -> Bools:
    return lowest_hash_users_U(map(str, range(everything.interactions.users)), at_most)


# By name: how it is done, and how many users a quick trial looks at.
_BENCHES: Mapping[str, tuple[Callable[[Path, int | None, Told], SetResult], int]] = MappingProxyType(
    {"taobao": (_bench_taobao, 200), "movielens": (_bench_movielens, 300), "beauty": (_bench_beauty, 1000)}
)
