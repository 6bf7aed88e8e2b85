"""Amazon Beauty: orders of items, and their attributes as tags."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from model.data.days import MICROS_PER_DAY, end_of_day
from model.data.labels import label_window
from model.errors import InputError
from tests.bench.public_sets.beauty import LAST_DAY, attribute_history, read_beauty
from tests.bench.public_sets.sets import BEAUTY_SPLIT

Write = Callable[[str, Mapping[str, list[int]]], Path]
LINES = "1 1 2 3\n2 3 1\n"
ATTRIBUTES = {"3": [30, 4, 30], "1": [4], "2": [7, 30]}


def test_a_repeated_attribute_counts_once(beauty_of: Write) -> None:
    beauty = read_beauty(beauty_of(LINES, ATTRIBUTES))
    assert beauty.interactions.item_N.tolist() == [0, 1, 2, 2, 0]
    assert beauty.attribute_names.tolist() == ["04", "07", "30"]
    assert list(zip(beauty.item_A.tolist(), beauty.attribute_A.tolist(), strict=True)) == [
        (0, 0), (1, 1), (1, 2), (2, 0), (2, 2)
    ]  # fmt: skip


def test_all_last_items_lie_on_the_last_day_and_each_step_is_a_day_and_a_session(beauty_of: Write) -> None:
    history = attribute_history(read_beauty(beauty_of(LINES, ATTRIBUTES)))
    last = end_of_day(LAST_DAY) - MICROS_PER_DAY
    assert ((last - history.at_E) // MICROS_PER_DAY).tolist() == [2, 1, 0, 1, 0]
    assert history.session_E.tolist() == [0, 1, 2, 3, 4]
    assert history.session_id_S.tolist() == ["0:0", "0:1", "0:2", "1:0", "1:1"]
    tags = [[], [], [], [], []]
    for event, tag in zip(history.event_M, history.tag_T[history.tag_M], strict=True):
        tags[event].append(tag)
    assert tags == [["04"], ["07", "30"], ["04", "30"], ["04", "30"], ["04"]]


def test_the_window_of_the_test_is_the_last_item_and_that_of_the_validation_the_one_before(beauty_of: Write) -> None:
    history = attribute_history(read_beauty(beauty_of(LINES, ATTRIBUTES)))
    assert BEAUTY_SPLIT.test + timedelta(days=1) == LAST_DAY
    found = {}
    for cutoff in (BEAUTY_SPLIT.test, BEAUTY_SPLIT.validation):
        window = label_window(history, end_of_day(cutoff), end_of_day(BEAUTY_SPLIT.end_of(cutoff)))
        touched = zip(window.touched.user_P, window.past.tag_T[window.touched.tag_P], strict=True)
        found[cutoff] = {(window.past.user_id_U[user], tag) for user, tag in touched}
    assert found[BEAUTY_SPLIT.test] == {("0", "04"), ("0", "30"), ("1", "04")}
    assert found[BEAUTY_SPLIT.validation] == {("0", "07"), ("0", "30")}  # nothing is known of user 1 before


def test_an_item_without_attributes_is_refused(beauty_of: Write) -> None:
    with pytest.raises(InputError, match="no attributes of 1 of 3 items, the first of them 2: expected one at least"):
        read_beauty(beauty_of(LINES, {**ATTRIBUTES, "2": []}))


def test_the_error_of_a_missing_file_of_beauty_names_its_source_and_licence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*Beauty.txt.*CIKM2020-S3Rec.*licence: research only"):
        read_beauty(tmp_path)


@pytest.mark.real_data
def test_the_real_set_of_beauty_has_the_counts_of_the_papers(real_data: Path) -> None:
    beauty = read_beauty(real_data)
    assert (beauty.interactions.users, beauty.interactions.items, len(beauty.interactions.user_N)) == (
        22_363,
        12_101,
        198_502,
    )
    assert len(beauty.attribute_names) == 637
