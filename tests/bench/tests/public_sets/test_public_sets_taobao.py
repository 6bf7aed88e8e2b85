"""Taobao UserBehavior: from lines to a history."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.errors import InputError
from tests.bench.public_sets.taobao import read_taobao

WHOLE = """\
9,70,500,pv,1511600000
10,71,40,buy,1511603601
10,72,500,pv,1511600000
10,73,40,cart,1511601800
10,74,500,fav,1511600000
"""


def test_users_and_tags_sort_by_name_and_events_by_second_then_line(
    taobao_of: Callable[[str], Path],
) -> None:
    log = read_taobao(taobao_of(WHOLE))
    history = log.history
    assert log.broken_lines == 0
    assert history.user_id_U.tolist() == ["10", "9"]
    assert history.tag_T.tolist() == ["40", "500"]
    assert history.item_E.tolist() == [72, 74, 73, 71, 70]
    assert history.tag_T[history.tag_M].tolist() == ["500", "500", "40", "40", "500"]
    assert history.action_A[history.action_E].tolist() == ["pv", "fav", "cart", "buy", "pv"]
    assert history.weight_E.tolist() == [1.0, 2.0, 2.0, 3.0, 1.0]
    assert history.at_E[0] == 1511600000 * 1_000_000
    assert history.event_count_U.tolist() == [4, 1]
    assert history.last_event_at_U.tolist() == [1511603601 * 1_000_000, 1511600000 * 1_000_000]


def test_a_gap_of_exactly_30_minutes_splits_no_session_and_a_second_more_does(taobao_of: Callable[[str], Path]) -> None:
    history = read_taobao(taobao_of(WHOLE)).history
    assert history.session_id_S[history.session_E].tolist() == [
        "10:1511600000", "10:1511600000", "10:1511600000", "10:1511603601", "9:1511600000"
    ]  # fmt: skip


@pytest.mark.parametrize("incomplete", ["10,75,500", "10,75,500,", "10,75,500,p", "10,75,500,pv,", "1"])
def test_an_incomplete_last_line_is_dropped_and_counted(taobao_of: Callable[[str], Path], incomplete: str) -> None:
    log = read_taobao(taobao_of(WHOLE + incomplete))
    assert log.broken_lines == 1
    assert log.history.item_E.tolist() == [72, 74, 73, 71, 70]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("9,70,500,pv,1\n9,70\n9,70,500,pv,1\n", r"line 2: '9,70' is no behaviour: expected user,item,category"),
        ("9,70,500,look,1\n9,70,500,pv,1\n", r"line 1: '9,70,500,look,1' is no behaviour"),
        ("9,70,500,pv,1\n9,70,,pv,1\n9,70,500,p", r"line 2: '9,70,,pv,1' is no behaviour"),
        ("9,70,500,pv,1\n9,70,500\n9,70,500,p", r"line 2: '9,70,500' is no behaviour"),
        ("9,70,500,pv,noon\n", "is no log of behaviours.*noon.*get the file again"),
        ("", "is no log of behaviours"),
    ],
)
def test_a_broken_line_that_is_not_the_last_is_refused(
    taobao_of: Callable[[str], Path], broken: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_taobao(taobao_of(broken))


def test_the_error_of_a_missing_log_names_its_source_and_licence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*taobao/UserBehavior.csv.*tianchi.*CC BY-NC-SA.*THROUGHLINE_REAL"):
        read_taobao(tmp_path)


@pytest.mark.real_data
def test_the_real_log_has_its_known_counts(real_data: Path) -> None:
    log = read_taobao(real_data)
    history = log.history
    assert (len(history.at_E), log.broken_lines) == (73_098, 1)
    assert (history.users, len(history.tag_T), len(history.session_id_S)) == (815, 2_758, 12_253)
    assert np.all(np.diff(history.user_E) >= 0) and np.all(np.diff(history.session_E) >= 0)
