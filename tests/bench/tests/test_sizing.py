"""The sizing page: its tables are those of the measured figures, and they grow as they must."""

import pytest

from tests.bench.sizing import PAGE, Measured, measured, page_with, size_of, tables

ROUND = Measured(100.0, 50.0, 10.0, 100.0, {"landing": 100.0, "events": 50.0}, 400.0)


def test_the_page_shows_the_measured_figures() -> None:
    page = PAGE.read_text()
    assert page == page_with(tables(measured()), page), "run `python -m tests.bench.sizing --write`"


def test_a_night_costs_its_lines_and_users() -> None:
    night = size_of(200_000_000, 1_000_000, ROUND)
    assert (night.data_seconds, night.score_seconds) == (100 + 50 * 200, 10 + 100)
    assert night.cores == 2  # 10,210 s in 4 hours of 60 % is 1.2
    assert night.gib_a_day == pytest.approx((150 * 2e8 + 400 * 1e6) / 2**30)
    assert night.files_a_day == 150 + 75 + 3  # each table rounds up to files of 128 MiB
    assert night.first_limit == "nothing: one machine is enough"


def test_what_breaks_first() -> None:
    assert size_of(100_000_000_000, 1_000_000, ROUND).first_limit == "one machine of 16 cores"
    assert size_of(1_000_000, 100_000_000, ROUND).first_limit == "scoring: one process takes 2.8 h; set score_parts"


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the lines <!-- sizing: begin -->"):
        page_with("tables", "no place")
