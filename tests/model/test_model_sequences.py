from collections.abc import Callable
from datetime import date, timedelta

import pyarrow as pa
import pytest

from model.data.days import days_from_to
from model.data.exchange import Exchange
from model.data.history import HISTORY_COLUMNS, history_of
from model.data.sequences import SEQUENCES, known_by_day, require_sequences, sequences_with, span_of_days
from model.errors import InputError, UsageError, without_passwords

SequencesOf = Callable[..., pa.Table]
DAY = date(2026, 3, 31)


def reader(by_day: dict[date, pa.Table]) -> Callable[[date], pa.Table]:
    return lambda day: by_day.get(day, SEQUENCES.empty_table())


def test_the_newest_row_of_each_user_is_known(sequences_of: SequencesOf) -> None:
    days = {
        DAY - timedelta(days=2): sequences_of([("a", "2026-03-29", "old"), ("b", "2026-03-29", "old")]),
        DAY: sequences_of([("a", "2026-03-31", "new")]),
    }
    ((_, known),) = known_by_day(reader(days), [DAY])
    assert {row["user_id"]: row["tags"] for row in known.to_pylist()} == {"a": [["new"]], "b": [["old"]]}


def test_a_range_knows_on_each_day_what_that_day_alone_would(sequences_of: SequencesOf) -> None:
    days = {
        DAY - timedelta(days=89): sequences_of([("gone", "2026-01-01", "x")]),
        DAY: sequences_of([("a", "2026-03-31", "x")]),
        DAY + timedelta(days=1): sequences_of([("a", "2026-04-01", "y"), ("b", "2026-04-01", "x")]),
    }
    as_range = dict(known_by_day(reader(days), days_from_to(DAY, DAY + timedelta(days=2))))
    for day, known in as_range.items():
        ((_, alone),) = known_by_day(reader(days), [day])
        assert known.sort_by("user_id") == alone.sort_by("user_id")
    assert "gone" in as_range[DAY]["user_id"].to_pylist()
    assert "gone" not in as_range[DAY + timedelta(days=1)]["user_id"].to_pylist()


def test_a_table_that_lacks_a_column_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="lacks weight, session_id: found user_id"):
        require_sequences(
            pa.schema([field for field in SEQUENCES if field.name not in {"weight", "session_id"}]), SEQUENCES
        )


def test_a_column_of_another_type_is_refused_by_name() -> None:
    item = SEQUENCES.get_field_index("item")
    with pytest.raises(InputError, match=r"item is int64, expected large_list<item: int64>"):
        require_sequences(SEQUENCES.set(item, pa.field("item", pa.int64())), sequences_with(HISTORY_COLUMNS))


def test_lists_that_are_not_aligned_are_refused(sequences_of: SequencesOf) -> None:
    known = sequences_of([("u", "2026-03-31", "a")])
    index = known.schema.get_field_index("weight")
    with pytest.raises(InputError, match="item and weight differ in length"):
        history_of(
            known.set_column(index, known.schema.field(index), pa.array([[1.0, 2.0]], pa.large_list(pa.float64())))
        )


def test_a_null_inside_a_list_is_refused(sequences_of: SequencesOf) -> None:
    known = sequences_of([("u", "2026-03-31", "a")])
    index = known.schema.get_field_index("weight")
    with pytest.raises(InputError, match="null inside a list"):
        history_of(known.set_column(index, known.schema.field(index), pa.array([[None]], pa.large_list(pa.float64()))))


def test_a_slice_of_a_table_is_read_as_what_it_shows(sequences_of: SequencesOf) -> None:
    known = sequences_of([("a", "2026-03-31", "x y"), ("b", "2026-03-31", "z"), ("b", "2026-03-31", "")])
    history = history_of(known.slice(1, 1))
    assert history.user_id_U.tolist() == ["b"]
    assert history.tag_T.tolist() == ["z"]
    assert history.event_counts_U().tolist() == [2]


@pytest.mark.parametrize("run_id", ["", "a/b", "..", "a b", "ä"])
def test_a_run_id_that_is_no_plain_name_is_wrong_usage(run_id: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(UsageError, match="expected letters, digits"):
        Exchange(tmp_path_factory.getbasetemp(), run_id)


def test_no_password_of_a_url_is_printed() -> None:
    text = "cannot connect to postgresql+psycopg://throughline:s3cret@127.0.0.1:5432/catalog"
    assert without_passwords(text) == "cannot connect to postgresql+psycopg://***@127.0.0.1:5432/catalog"


# first day and rows of each run of days; first and last day of the log
SPANS = {
    "no days": ([], None),
    "one day": ([(0, [1])], (0, 0)),
    "a stray day months before, and one weeks after": ([(-90, [1]), (0, [40] * 30), (50, [2])], (0, 29)),
    "a log that begins with few users": ([(0, [2, 3, 5, 8, 40, 40, 40])], (0, 6)),
    "stray events on the days before": ([(-74, [1]), (-4, [1, 0, 1, 3]), (0, [172, 576, 609, 599])], (0, 3)),
    "stray events on the day after": ([(0, [40, 40, 40, 1])], (0, 2)),
    "a break of two weeks in it": ([(0, [40] * 10), (24, [40] * 5)], (0, 28)),
    "one user a week": ([(8 * week, [1]) for week in range(9)], (0, 64)),
}


@pytest.mark.parametrize(("runs", "expected"), SPANS.values(), ids=SPANS.keys())
def test_stray_days_are_no_part_of_a_log(runs: list[tuple[int, list[int]]], expected: tuple[int, int] | None) -> None:
    start = date(2026, 1, 1)
    rows = {start + timedelta(days=first + n): count for first, counts in runs for n, count in enumerate(counts)}
    assert span_of_days(rows) == (expected and tuple(start + timedelta(days=day) for day in expected))
