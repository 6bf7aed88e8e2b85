"""MovieLens-1M as SASRec's line of papers evaluates on it: "user item", a user's lines in order, moments unknown.

Shape letters: N steps (see model/baselines/interactions.py), V items.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.baselines.interactions import Interactions
from model.errors import InputError
from tests.bench.public_sets.files import MOVIELENS, public_file
from tests.bench.public_sets.ordered_interactions import ordered_interactions

ORDER_FILE, MAPPING_FILE, MOVIES_FILE = "ml-1m.txt.gz", "sas_to_original_items.txt", "movies.dat"
NEWEST = 200  # items of a user that a model may use, as in the papers


@dataclass(frozen=True)
class Movie:
    """The catalogue entry of an item."""

    title: str
    genres: tuple[str, ...]


def read_movielens(folder: Path) -> Interactions:
    """Return the items of all users in order; item v is the item v + 1 of the file. folder: that of all public sets."""
    file = public_file(MOVIELENS, ORDER_FILE, folder)
    with gzip.open(file, "rt", encoding="ascii") as lines:
        words = lines.read().split()
    try:
        user_item_N2 = np.array(words, dtype=np.int64).reshape(-1, 2)
    except ValueError as error:
        raise InputError(f"{file}: {error}: expected two numbers a line, user and item; get the file again") from error
    return ordered_interactions(user_item_N2[:, 0], user_item_N2[:, 1] - 1, file)


def read_movies(folder: Path) -> list[Movie]:
    """Return the catalogue entry of each item of `read_movielens`, by its number there."""
    catalogue = {}
    for line in public_file(MOVIELENS, MOVIES_FILE, folder).read_text(encoding="latin-1").splitlines():
        movie, title, genres = line.split("::")
        catalogue[int(movie)] = Movie(title, tuple(genres.split("|")))
    pairs = [line.split() for line in public_file(MOVIELENS, MAPPING_FILE, folder).read_text("ascii").splitlines()]
    movie_of_item = {int(item): int(movie) for item, movie in pairs}
    return [catalogue[movie_of_item[item]] for item in sorted(movie_of_item)]
