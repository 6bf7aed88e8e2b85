"""Tiny public sets in the format of the real ones."""

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


@pytest.fixture
def taobao_of(tmp_path: Path) -> Callable[[str], Path]:
    """Return the function that writes UserBehavior.csv and returns the folder of all sets."""

    def write(lines: str) -> Path:
        (tmp_path / "taobao").mkdir()
        (tmp_path / "taobao" / "UserBehavior.csv").write_text(lines, encoding="ascii")
        return tmp_path

    return write


@pytest.fixture
def movielens_of(tmp_path: Path) -> Callable[..., Path]:
    """Return the function that writes the three files and returns the folder of all sets."""

    def write(lines: str, mapping: str = "", movies: bytes = b"") -> Path:
        folder = tmp_path / "movielens-1m"
        folder.mkdir()
        (folder / "ml-1m.txt.gz").write_bytes(gzip.compress(lines.encode()))
        (folder / "sas_to_original_items.txt").write_text(mapping, encoding="ascii")
        (folder / "movies.dat").write_bytes(movies)
        return tmp_path

    return write


@pytest.fixture
def beauty_of(tmp_path: Path) -> Callable[[str, Mapping[str, list[int]]], Path]:
    """Return the function that writes both files and returns the folder of all sets."""

    def write(lines: str, attributes: Mapping[str, list[int]]) -> Path:
        folder = tmp_path / "amazon-beauty"
        folder.mkdir()
        (folder / "Beauty.txt").write_text(lines, encoding="ascii")
        (folder / "Beauty_item2attributes.json").write_text(json.dumps(attributes), encoding="ascii")
        return tmp_path

    return write
