"""Questions on disk are those in memory, and cost the same memory however many there are."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from model.errors import InputError
from model.transformer.columns import Column
from model.transformer.dataset import Batch
from model.transformer.store import StoredSource, write_store
from model.transformer.tensors import leaves
from model.transformer.tokens import EVENT, NUMBERS, Tokens, token_batch
from model.transformer.trainer import Trainer

TAGS = 50


@dataclass(frozen=True)
class MadeUp:
    """A Source of so many users, each made up when it is asked for; most paths are those of most users."""

    users: int

    @property
    def answers(self) -> int:
        return 2 * TAGS

    def lengths_U(self) -> Any:
        return 5 + np.arange(self.users) * 7 % 36

    def question(self, user_B: Any) -> Batch:
        length_B = self.lengths_U()[user_B]
        user_N = np.repeat(np.arange(len(user_B)), length_B)
        number_N = np.repeat(user_B, length_B) * 31 + np.arange(len(user_N)) - (np.cumsum(length_B) - length_B)[user_N]
        tokens = Tokens(
            users=len(user_B),
            user_N=user_N,
            kind_N=np.full(len(user_N), EVENT),
            item_N=number_N % 997,
            action_N=number_N % 5,
            tag_NG=np.stack([number_N % TAGS, number_N % 7], -1),
            at_N=1_770_000_000_000_000 + number_N,
            session_N=number_N % 11,
            place_N=number_N % 13,
            number_NF=np.stack([np.sin(number_N + number) for number in range(len(NUMBERS))], -1),
            session_id_N=np.full(len(user_N), "one", dtype=object),
        )
        cutoff_BC = np.stack([1_770_000_000_000_000 + user_B, 1_780_000_000_000_000 + user_B], -1)
        stacked_BCTP = np.tile(np.arange(TAGS, dtype=np.float32)[:, None], (len(user_B), 2, 1, 1))
        stacked_BCTP[np.arange(len(user_B)), :, user_B % TAGS] += np.arange(1, 3)[None, :, None]
        touched_BCT = torch.zeros(len(user_B), 2, TAGS)
        touched_BCT[torch.arange(len(user_B)), 1, torch.from_numpy(user_B % 3)] = 1.0
        has_returned_BC = torch.from_numpy(cutoff_BC % 2).float()
        return Batch(
            token_batch(tokens, np.arange(len(user_B)), cutoff_BC, 512),
            torch.from_numpy(stacked_BCTP),
            torch.from_numpy(cutoff_BC % 3 > 0),
            touched_BCT,
            has_returned_BC,
        )


def assert_same(stored: Any, source: Any, user_B: Any) -> None:
    found, expected = leaves(stored.question(user_B)), leaves(source.question(user_B))
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name


@pytest.mark.parametrize("users_at_once", [1, 50, 1000])
def test_stored_questions_are_those_of_the_source_tensor_for_tensor(
    small: Any, tmp_path: Path, users_at_once: int
) -> None:
    without_paths = replace(small.taught, stacked_UCTP=small.taught.stacked_UCTP[..., :0])
    for number, source in enumerate([small.taught, without_paths, MadeUp(130)]):
        file = tmp_path / f"{number}.arrow"
        write_store(file, source, users_at_once)
        stored = StoredSource(file)
        assert stored.lengths_U().tolist() == source.lengths_U().tolist()
        assert stored.answers == source.answers
        assert stored.reader.num_record_batches == -(-len(source.lengths_U()) // users_at_once)
        random = np.random.default_rng(number)
        for user_B in (np.array([7]), np.array([71, 3, 3, 50]), random.permutation(len(source.lengths_U()))):
            assert_same(stored, source, user_B)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.arrow", "1.arrow", "2.arrow"]


def test_of_tags_only_what_differs_from_most_users_is_kept_where_that_is_shorter(small: Any, tmp_path: Path) -> None:
    layouts = {}
    for name, source in (("counts", small.taught), ("made up", MadeUp(130))):
        write_store(tmp_path / "one.arrow", source)
        layouts[name] = {column.name: column.layout for column in StoredSource(tmp_path / "one.arrow").columns}
    assert layouts["counts"]["stacked_BCTP"] == "whole"  # `counts-1` tells every user something else of every tag
    assert layouts["made up"]["stacked_BCTP"] == "cells"
    assert layouts["counts"]["touched_BCT"] == layouts["made up"]["touched_BCT"] == "cells"
    assert layouts["counts"]["batch.item_BL"] == "tokens"


def test_tokens_behind_another_axis_have_no_layout() -> None:
    with pytest.raises(ValueError, match=r"told_BCL has the axes BCL: expected tokens \(L\) right after users"):
        Column.of("told_BCL", torch.zeros(2, 3, 4))


def test_a_number_too_large_for_its_column_is_no_other_number() -> None:
    column = Column.of("item_BL", torch.tensor([[1, 2]]))
    with pytest.raises(pa.ArrowInvalid, match="not in range"):
        column.lists(torch.tensor([[1, 2**40]]), np.ones((1, 2), dtype=bool))


def test_it_learns_the_same_from_disk_as_from_memory_bit_for_bit(
    small: Any, same_weights: Callable[..., bool], tmp_path: Path
) -> None:
    write_store(tmp_path / "taught.arrow", small.taught)
    recipe = replace(small.recipe, epochs=2)
    from_disk = Trainer(small.network(), [StoredSource(tmp_path / "taught.arrow")], recipe).run().state_dict()
    assert same_weights(from_disk, small.trainer(epochs=2).run().state_dict())


@pytest.fixture
def peak() -> Iterator[Callable[[Callable[[], None]], int]]:
    """Return the function that tells the most memory that something held, of Python's, numpy's and Arrow's."""
    usual = pa.default_memory_pool()

    def measured(done: Callable[[], None]) -> int:
        pool = pa.proxy_memory_pool(usual)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        done()
        most = tracemalloc.get_traced_memory()[1] + pool.max_memory()
        tracemalloc.stop()
        return most

    yield measured
    pa.set_memory_pool(usual)


def test_ten_times_the_users_take_no_more_memory_to_write_or_to_read(
    tmp_path: Path, peak: Callable[[Callable[[], None]], int]
) -> None:
    written, read = [], []
    for users in (2_000, 20_000):
        file = tmp_path / f"{users}.arrow"
        written.append(peak(lambda: write_store(file, MadeUp(users))))  # noqa: B023

        def read_some() -> None:
            stored = StoredSource(file)  # noqa: B023
            order = np.random.default_rng(1).permutation(len(stored.lengths_U()))
            for user_B in np.array_split(order, len(order) // 1000):
                stored.question(user_B)

        read.append(peak(read_some))
    assert written[1] < 1.2 * written[0] and read[1] < 1.2 * read[0]
    assert (tmp_path / "20000.arrow").stat().st_size > 3 * read[1]


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "taught.arrow"
    with pytest.raises(InputError, match=r"taught\.arrow holds no questions to train on \(FileNotFoundError\)"):
        StoredSource(file)
    file.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"expected an Arrow file that write_store made; write it again"):
        StoredSource(file)
    table = pa.table({"user": [1]})
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputError, match="KeyError"):
        StoredSource(file)


def test_a_source_that_fails_half_way_leaves_the_store_before(tmp_path: Path) -> None:
    file = tmp_path / "taught.arrow"
    write_store(file, MadeUp(10))

    class Failing(MadeUp):
        def question(self, user_B: Any) -> Batch:
            if user_B[0] > 0:
                raise RuntimeError("gone")
            return super().question(user_B)

    with pytest.raises(RuntimeError, match="gone"):
        write_store(file, Failing(20), users_at_once=5)
    assert len(StoredSource(file).lengths_U()) == 10
