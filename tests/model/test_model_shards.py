"""Any number of shards gives the same profiles, and no more than a shard is held."""

import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import model.scoring as samples
import model.scoring as score
from model.data.days import clock, days_from_to
from model.data.exchange import ALL_USERS, Exchange, Part
from model.data.history import history_of
from model.data.profiles import profiles_of
from model.data.sequences import SEQUENCES, known_by_day
from model.data.shards import count_for, dealt_out, shards_of
from model.data.users import sample_users, scoring_population, stable_hash
from model.errors import UsageError
from model.scoring import score_days
from tests.model.conftest import fit_counts

SequencesOf = Callable[..., pa.Table]
FEW = 50  # users to learn from, less than there are


@pytest.fixture(scope="module")
def days(world: Any) -> dict[date, pa.Table]:
    """The rows as of each of ten days, none as of the fifth; many users appear on several."""
    last: date = world.last_day
    made = {}
    for back in (9, 8, 7, 6, 4, 3, 2, 1, 0):
        day = last - timedelta(days=back)
        rows = world.until(day)
        made[day] = rows.filter(pa.array([one == day for one in rows["as_of"].to_pylist()]))
    return made


def scored(
    days: dict[date, pa.Table], wanted: Sequence[date], count: int, home: Path, part: Part = ALL_USERS
) -> tuple[dict[date, list[Any]], dict[date, Any]]:
    """Return the profiles and the manifest entries of each wanted day."""
    exchange = Exchange(home, f"shards-{count}", part=part)
    entries: dict[date, Any] = {}
    with dealt_out(days.values(), count, SEQUENCES, exchange.shards_folder, part) as shards:
        for some in score_days(shards, wanted, frozenset(wanted[-1:]), fit_counts, exchange, clock):
            entries |= some
    return {day: rows_of(pq.ParquetFile(exchange.profiles_file(day)).read()) for day in wanted}, entries


def rows_of(profiles: pa.Table) -> list[Any]:
    rows: list[Any] = profiles.drop_columns(["scored_at"]).sort_by("user_id").to_pylist()
    return rows


def from_the_whole_table(days: dict[date, pa.Table], wanted: Sequence[date]) -> dict[date, list[Any]]:
    """Score with all users held at once."""
    found = {}
    for day, known in known_by_day(lambda day: days.get(day, SEQUENCES.empty_table()), wanted):
        scorer = fit_counts(sample_users(known, FEW), day)
        history = history_of(known.filter(pa.array(scoring_population(known, day, day == wanted[-1]))))
        found[day] = rows_of(profiles_of(history, scorer.score(history), day, scorer.version, clock()))
    return found


def test_any_number_of_shards_gives_what_the_whole_table_gives(
    days: dict[date, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MAX_USERS", FEW)
    monkeypatch.setattr(score, "DAYS_AT_ONCE", 2)
    wanted = days_from_to(max(days) - timedelta(days=6), max(days))
    expected = from_the_whole_table(days, wanted)
    assert sum(map(len, expected.values())) > FEW
    one, told_of_one = scored(days, wanted, 1, tmp_path)
    many, told_of_many = scored(days, wanted, 7, tmp_path)
    assert one == expected
    assert many == expected
    assert json.dumps([told_of_one[day] for day in wanted]) == json.dumps([told_of_many[day] for day in wanted])


@pytest.mark.parametrize(("parts", "count"), [(2, 7), (3, 3)])
def test_parts_give_together_what_one_process_gives(
    days: dict[date, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int, count: int
) -> None:
    monkeypatch.setattr(samples, "MAX_USERS", FEW)
    wanted = days_from_to(max(days) - timedelta(days=2), max(days))
    whole, entries = scored(days, wanted, count, tmp_path)
    made = [scored(days, wanted, count, tmp_path, Part(number, parts)) for number in range(1, parts + 1)]
    for day in wanted:
        together = [row for profiles, _ in made for row in profiles[day]]
        assert all(profiles[max(days)] for profiles, _ in made)
        assert sorted(together, key=lambda row: row["user_id"]) == whole[day]
        assert sum(of_part[day]["rows"] for _, of_part in made) == entries[day]["rows"]
        assert all(of_part[day]["parameters"] == entries[day]["parameters"] for _, of_part in made)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/65", "2", "two/3", "1/2/3", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected one such as 2/8"):
        Part.parse(text)


def test_a_shard_holds_its_own_users_only_and_each_is_in_one(days: dict[date, pa.Table], tmp_path: Path) -> None:
    with dealt_out(days.values(), 8, SEQUENCES, tmp_path / "s") as shards:
        held = [
            known["user_id"].to_pylist() for number in range(8) for _, known in shards.known_by_day(number, [max(days)])
        ]
    users = sorted({user for rows in days.values() for user in rows["user_id"].to_pylist()})
    assert sorted(user for one in held for user in one) == users
    assert max(map(len, held)) < len(users) / 4


def test_a_higher_hash_never_has_a_lower_shard() -> None:
    hash_U = np.sort(stable_hash(f"user{number}" for number in range(1000)))
    shard_U = shards_of(hash_U, 7)
    assert (np.diff(shard_U) >= 0).all()
    assert set(shard_U.tolist()) == set(range(7))
    assert shards_of(np.array([0, 2**64 - 1], np.uint64), 512).tolist() == [0, 511]


def test_a_sample_of_a_sample_is_itself(days: dict[date, pa.Table]) -> None:
    once = sample_users(days[max(days)], 20)
    assert sample_users(once, 20).equals(once)


@pytest.mark.parametrize(("rows", "count"), [(0, 1), (20_000, 1), (20_001, 2), (10**9, 512)])
def test_shards_are_as_many_as_rows_need(rows: int, count: int) -> None:
    assert count_for(rows) == count
    assert count_for(rows, Part(2, 4)) == max(count, 4)


def test_nothing_stays_after_success_or_failure(sequences_of: SequencesOf, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    rows = sequences_of([("a", "2026-03-31", "x")])
    folder.mkdir()
    (folder / "left-by-a-killed-run").touch()
    with dealt_out([rows], 2, SEQUENCES, folder) as shards:
        assert sorted(file.name for file in shards.folder.iterdir()) == ["shard-0.arrow", "shard-1.arrow"]
    assert not folder.exists()
    with pytest.raises(OSError, match="disk is full"), dealt_out([rows], 2, SEQUENCES, folder):
        raise OSError("disk is full")
    assert not folder.exists()


def test_a_day_that_fails_leaves_no_profiles_under_their_names(
    days: dict[date, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk is full")

    monkeypatch.setattr(score, "profiles_of", broken)
    with pytest.raises(OSError, match="disk is full"):
        scored(days, [max(days)], 3, tmp_path)
    assert not Exchange(tmp_path, "shards-3").profiles_file(max(days)).exists()
    assert not Exchange(tmp_path, "shards-3").shards_folder.exists()
