"""How a run hands over its profiles: in the home, and in a store, with the manifest last."""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.exchange import Exchange, Part
from model.data.profiles import PROFILES
from model.errors import UsageError
from throughline.stores import content_of, path_of

DAYS = [date(2026, 1, 30), date(2026, 1, 31)]


def test_a_store_gets_the_files_and_the_manifest_last(tmp_path: Path, store: str) -> None:
    exchange = Exchange(tmp_path / "home", "night_20260131", store)
    there = path_of(store) / "night_20260131"
    with exchange.open_profiles(DAYS) as writers:
        for writer in writers.values():
            writer.write_table(PROFILES.empty_table())
    assert not (there / "manifest.json").is_file(), "the run has not ended"
    assert exchange.write_manifest({"days": {}}) == there
    assert json.loads((there / "manifest.json").read_text()) == {"days": {}}
    left = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert left == [], "an erasure on another machine would not reach rows of users here"
    for day in DAYS:
        copied: pa.Table = pq.read_table(content_of(there / "profiles" / f"as_of={day}.parquet"), partitioning=None)
        assert copied.schema == PROFILES

    exchange.clear(DAYS)
    assert not (there / "manifest.json").is_file(), "another try of the run begins"


def test_a_try_with_other_parts_takes_back_the_ones_before(tmp_path: Path, store: str) -> None:
    """Else the next step could read users twice, or of two tries."""

    def tries(count: int) -> list[Exchange]:
        return [Exchange(tmp_path / "home", "night", store, Part(number + 1, count)) for number in range(count)]

    def ended() -> list[str]:
        return sorted(file.parent.name for file in path_of(store).glob("night*/manifest.json"))

    for exchange in tries(3):
        exchange.clear(DAYS)
        exchange.write_manifest({})
    assert ended() == ["night.part-1-of-3", "night.part-2-of-3", "night.part-3-of-3"]
    tries(3)[1].clear(DAYS)
    assert ended() == ["night.part-1-of-3", "night.part-3-of-3"], "another try of one part"
    for count, expected in ((2, ["night.part-1-of-2"]), (1, ["night"]), (2, ["night.part-1-of-2"])):
        tries(count)[0].clear(DAYS)
        tries(count)[0].write_manifest({})
        assert ended() == expected


def test_another_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gs://bucket/exchange: expected a path of this machine or s3://"):
        Exchange(tmp_path, "night_20260131", "gs://bucket/exchange")
