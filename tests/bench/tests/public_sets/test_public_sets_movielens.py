"""MovieLens-1M: orders of items, and what the items are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from model.errors import InputError
from tests.bench.public_sets.movielens import read_movielens, read_movies


def test_the_order_of_the_lines_is_that_of_the_steps(movielens_of: Callable[..., Path]) -> None:
    interactions = read_movielens(movielens_of("1 3\n1 1\n7 2\n7 3\n7 1\n"))
    assert (interactions.users, interactions.items) == (2, 3)
    assert interactions.user_N.tolist() == [0, 0, 1, 1, 1]
    assert interactions.item_N.tolist() == [2, 0, 1, 2, 0]
    assert interactions.at_N.tolist() == [0, 1, 0, 1, 2]


def test_lines_of_a_user_may_lie_apart(movielens_of: Callable[..., Path]) -> None:
    interactions = read_movielens(movielens_of("7 2\n1 3\n7 1\n"))
    assert interactions.user_N.tolist() == [0, 1, 1] and interactions.item_N.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("1 1\n1 3\n", "2 different items, numbered from 1 to 3: expected each number"),
        ("1 0\n1 1\n", "numbered from 0"),
        ("1 1\n1\n", "expected two numbers a line"),
        ("1 one\n", "expected two numbers a line"),
        ("", "0 different items"),
    ],
)
def test_an_invalid_file_is_refused(movielens_of: Callable[..., Path], lines: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_movielens(movielens_of(lines))


def test_titles_are_read_as_latin_1_and_found_through_the_mapping(movielens_of: Callable[..., Path]) -> None:
    movies = "5::Misérables, Les (1995)::Drama|Musical\n9::Heat (1995)::Action\n".encode("latin-1")
    first, second = read_movies(movielens_of("1 1\n1 2\n", "1 9\n2 5\n", movies))
    assert (first.title, first.genres) == ("Heat (1995)", ("Action",))
    assert (second.title, second.genres) == ("Misérables, Les (1995)", ("Drama", "Musical"))


def test_the_error_of_a_missing_file_names_its_source_and_licence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*ml-1m.txt.gz.*kang205/SASRec.*GroupLens"):
        read_movielens(tmp_path)


@pytest.mark.real_data
def test_the_real_set_has_the_counts_of_the_papers(real_data: Path) -> None:
    interactions = read_movielens(real_data)
    assert (interactions.users, interactions.items, len(interactions.user_N)) == (6_040, 3_416, 999_611)
    movies = read_movies(real_data)
    assert len(movies) == 3_416
    assert movies[0].title == "Raiders of the Lost Ark (1981)"
    assert len({genre for movie in movies for genre in movie.genres}) == 18
