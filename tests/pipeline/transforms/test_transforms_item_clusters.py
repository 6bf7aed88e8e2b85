"""Clusters of items of a generated log with planted groups, when they are trained, and the place of new items."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from pipeline.errors import InputError
from pipeline.sources.rules import ClusterRules
from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.item_clusters import enough_items, item_clusters, items_of_sessions
from pipeline.transforms.placed_items import placed_items
from pipeline.warehouse import clusters
from pipeline.warehouse.clusters import days_to_train, require_trainable

GROUPS, ITEMS_PER_GROUP, SESSIONS = 4, 8, 240
THROUGH = date(2026, 1, 31)
RULES = (GROUPS, 3)  # count, least_sessions
SESSION = (
    "session_id STRING, started_at TIMESTAMP, is_counted BOOLEAN, "
    "events ARRAY<STRUCT<event_at: TIMESTAMP, arrival_day: DATE, item_id: STRING>>"
)
CLUSTERS = (
    "version STRING, item_id STRING, tag STRING, cluster INT, similarity DOUBLE, session_count INT, "
    "trained_through DATE, known_on DATE"
)
Row = dict[str, Any]


def session(name: str, items: list[str | None], at: datetime, arrival_day: date | None = None, **more: Any) -> Row:
    events = [
        {"event_at": at + timedelta(minutes=number), "arrival_day": arrival_day or at.date(), "item_id": item}
        for number, item in enumerate(items)
    ]
    return {"session_id": name, "started_at": at, "is_counted": True, "events": events, **more}


def planted(seed: int) -> list[Row]:
    """Return sessions that stay in one group of items, except one event in ten; one item is rare, one is a bot's."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(SESSIONS):
        group = number % GROUPS
        inside = [f"g{group}-{random.integers(ITEMS_PER_GROUP)}" for _ in range(6)]
        strays = [f"g{random.integers(GROUPS)}-{random.integers(ITEMS_PER_GROUP)}" for _ in inside]
        items = [stray if random.random() < 0.1 else own for own, stray in zip(inside, strays, strict=True)]
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        made.append(session(f"s{number:03d}", [*items, "rare"] if number < 2 else items, at))
    for number in range(9):
        at = datetime(2026, 1, 20, number, tzinfo=UTC)
        made.append(session(f"bot{number}", ["g0-1", "bots-own"], at, is_counted=False))
    return made


@pytest.fixture(scope="module")
def no_titles(frame_of) -> Any:
    return frame_of([], "item_id STRING, title STRING")


@pytest.fixture(scope="module")
def none_before(frame_of) -> Any:
    return frame_of([], "item_id STRING, tag STRING")


@pytest.fixture(scope="module")
def sessions(frame_of) -> Any:
    return frame_of(planted(1), SESSION)


@pytest.fixture(scope="module")
def first_version(sessions, no_titles, none_before) -> list[Row]:
    return rows(item_clusters(sessions, no_titles, none_before, THROUGH, *RULES))


def rows(made) -> list[Row]:
    return sorted((row.asDict() for row in made.collect()), key=lambda row: row["item_id"])


def test_clusters_are_the_planted_groups(first_version) -> None:
    groups = [row["item_id"].split("-")[0] for row in first_version]
    assert len(groups) == GROUPS * ITEMS_PER_GROUP
    assert adjusted_rand_score(groups, [row["cluster"] for row in first_version]) >= 0.8
    assert all(-1 <= row["similarity"] <= 1 + 1e-9 for row in first_version)


def test_rare_items_and_those_of_bots_have_no_tag(first_version) -> None:
    assert {row["item_id"] for row in first_version} & {"rare", "bots-own"} == set()


def test_a_tag_names_the_two_most_typical_items_and_is_unique(first_version) -> None:
    tags = {(row["cluster"], row["tag"]) for row in first_version}
    assert len(tags) == len({tag for _, tag in tags}) == GROUPS
    for cluster, tag in tags:
        own = [row for row in first_version if row["cluster"] == cluster]
        first, second, *_ = sorted(own, key=lambda row: (-row["session_count"] * row["similarity"], row["item_id"]))
        assert tag == f"like {first['item_id']} & {second['item_id']}"


def test_the_same_sessions_in_any_order_give_the_same_version(frame_of, first_version, no_titles, none_before) -> None:
    mixed = frame_of(reversed(planted(1)), SESSION).repartition(3)
    assert rows(item_clusters(mixed, no_titles, none_before, THROUGH, *RULES)) == first_version


def test_a_new_version_keeps_the_tags_of_clusters_that_persist(frame_of, first_version, none_before) -> None:
    """Other sessions, and now with titles: the groups are the same, so their tags are too."""
    more = frame_of([*planted(1), *({**row, "session_id": f"new-{row['session_id']}"} for row in planted(2))], SESSION)
    titles = frame_of([{"item_id": row["item_id"], "title": f"the {row['item_id']}"} for row in first_version],
                      "item_id STRING, title STRING")  # fmt: skip
    before = frame_of(first_version, "item_id STRING, tag STRING")
    kept = rows(item_clusters(more, titles, before, THROUGH, *RULES))
    then = {row["item_id"]: row["tag"] for row in first_version}
    assert np.mean([row["tag"] == then[row["item_id"]] for row in kept if row["item_id"] in then]) >= 0.9
    fresh = rows(item_clusters(more, titles, none_before, THROUGH, *RULES))
    assert all(row["tag"].startswith("like the g") for row in fresh)


def test_an_item_counts_once_per_session_and_only_if_known_through_the_day(frame_of) -> None:
    last = datetime(2026, 1, 31, 23, 58, tzinfo=UTC)
    found = items_of_sessions(
        frame_of(
            [
                session("over midnight", ["a", "b", "c"], last),
                session("again and none", ["a", None, "b", "a"], last - timedelta(days=1)),
                session("late", ["a", "b"], last - timedelta(days=9), arrival_day=date(2026, 2, 1)),
                session("alone", ["a", "a"], last - timedelta(days=1)),
            ],
            SESSION,
        ),
        THROUGH,
    )
    assert {row.session_id: row["items"] for row in found.collect()} == {
        "over midnight": ["a", "b"], "again and none": ["a", "b"],
    }  # fmt: skip


def test_a_small_log_gets_fewer_clusters_than_asked_for(sessions, no_titles, none_before) -> None:
    made = rows(item_clusters(sessions, no_titles, none_before, THROUGH, 50, 3))
    assert len({row["cluster"] for row in made}) == GROUPS * ITEMS_PER_GROUP // 4


def test_too_few_items_are_an_error_with_advice(frame_of, no_titles, none_before) -> None:
    few = frame_of([session(f"s{number}", ["a", "b"], at(1)) for number in range(3)], SESSION)
    with pytest.raises(InputError, match=r"2 items occur in 2 or more sessions, .* need 8: land more"):
        item_clusters(few, no_titles, none_before, date(2026, 2, 1), 50, 5)


@pytest.mark.parametrize(
    ("wanted", "least", "expected"),
    [(10, 5, (5, 10)), (20, 5, (4, 30)), (99, 5, (2, 80)), (99, 1, (1, 180)), (1, 9, (9, 1))],
)
def test_a_log_of_rare_items_lets_items_of_fewer_sessions_in(wanted, least, expected) -> None:
    assert enough_items({1: 100, 2: 50, 4: 20, 5: 9, 9: 1}, wanted, least) == expected


def placed(frame_of: Any, sessions: list[Row], known: list[Row], through: date) -> list[Row]:
    rounds = placed_items(frame_of(sessions, SESSION), frame_of(known, CLUSTERS), through)
    return sorted((row for made in rounds for row in rows(made)), key=lambda row: row["item_id"])


def at(day: int) -> datetime:
    return datetime(2026, 2, day, 9, tzinfo=UTC)


def cluster_row(item: str, cluster: int, version: str = "v") -> Row:
    day = "2026-01-31"
    return {
        "version": version, "item_id": item, "tag": f"tag {cluster}", "cluster": cluster, "similarity": 1.0,
        "session_count": 9, "trained_through": day, "known_on": day,
    }  # fmt: skip


FEBRUARY = [
    session("rare", ["pan", "old rare"], datetime(2026, 1, 9, tzinfo=UTC)),
    session("first", ["spade", "hoe", "pan", "new"], at(3)),
    session("contradicts later", ["pan", "pot", "wok", "new"], at(5)),
    session("by a new one", ["new", "newer"], at(4)),
    session("alone", ["lonely"], at(4)),
    session("late", ["pan", "late"], at(2), arrival_day=date(2026, 2, 6)),
    session("bot", ["pan", "bots"], at(2), is_counted=False),
    session("tomorrow", ["pan", "tomorrow's"], at(8)),
]
IN_GARDEN, IN_KITCHEN = ["spade", "hoe"], ["pan", "pot", "wok"]


def test_an_item_is_placed_by_the_sessions_of_the_first_day_and_never_again(frame_of) -> None:
    known = [*(cluster_row(item, 0) for item in IN_GARDEN), *(cluster_row(item, 1) for item in IN_KITCHEN)]
    made = placed(frame_of, FEBRUARY, known, date(2026, 2, 7))
    assert {row["item_id"]: (row["tag"], str(row["known_on"])) for row in made} == {
        "old rare": ("tag 1", "2026-01-31"),
        "new": ("tag 0", "2026-02-03"),
        "newer": ("tag 0", "2026-02-04"),
        "late": ("tag 1", "2026-02-06"),
    }
    by_item = {row["item_id"]: row for row in made}
    assert (by_item["new"]["similarity"], by_item["new"]["session_count"]) == (pytest.approx(2 / 3), 1)
    through_then = placed(frame_of, FEBRUARY, known, date(2026, 2, 3))
    assert through_then == [row for row in made if row["known_on"] <= date(2026, 2, 3)], "later days change nothing"


def test_every_version_gets_the_items_that_it_lacks(frame_of) -> None:
    known = [cluster_row("spade", 0), cluster_row("spade", 5, "w"), cluster_row("new", 5, "w")]
    made = placed(frame_of, FEBRUARY[1:3], known, date(2026, 2, 7))
    assert {(row["version"], row["item_id"], row["tag"]) for row in made} == {
        *(("v", item, "tag 0") for item in ("hoe", "pan", "new", "pot", "wok")),
        *(("w", item, "tag 5") for item in ("hoe", "pan", "pot", "wok")),
    }


DAILY = {date(2026, 1, day): 100 for day in range(1, 31)}


@pytest.mark.parametrize(
    ("newest", "first", "last", "days"),
    [
        (None, 1, 30, [5, 10, 20]),
        (None, 1, 3, [3]),
        (None, 30, 30, [30]),
        (10, 11, 30, [20]),
        (10, 20, 20, [20]),
        (10, 11, 11, []),
        (10, 25, 30, [25]),
    ],
    ids=["a range", "a short range", "a first night", "later days", "a night", "a night between", "a gap before"],
)
def test_a_version_is_due_when_the_sessions_have_doubled(newest, first, last, days) -> None:
    def day(number: int) -> date:
        return date(2026, 1, number)

    found = days_to_train(DAILY, day(newest) if newest else None, day(first), day(last))
    assert [one.day for one in found] == days


@pytest.mark.parametrize(("fails_through", "tried"), [(5, [5, 10, 20]), (20, [5, 10, 20, 30]), (0, [5, 10, 20])])
def test_a_day_with_too_few_items_stops_no_later_one(frame_of, monkeypatch, fails_through, tried) -> None:
    days, made = list[int](), list[date]()

    def train(spark: Any, name: str, source: Any, through: date) -> None:
        days.append(through.day)
        if through.day <= fails_through:
            raise InputError("too few items")
        made.append(through)

    starts = [{"source": "shop", "is_counted": True, "started_on": str(day)} for day in DAILY for _ in range(100)]
    sessions = frame_of(starts, "source STRING, is_counted BOOLEAN, started_on DATE")
    monkeypatch.setattr(clusters, "versions", lambda spark, name: made)
    monkeypatch.setattr(clusters, "train_version", train)
    monkeypatch.setattr(clusters, "place_items", lambda *arguments: None)
    clusters.cluster_items(SimpleNamespace(table=lambda name: sessions), asking(shop=4), min(DAILY), max(DAILY))
    assert days == tried


def test_a_stray_old_day_moves_no_training() -> None:
    stray = {date(2025, 9, 1): 1, **DAILY}
    assert [day.day for day in days_to_train(stray, None, date(2025, 9, 1), date(2026, 1, 30))] == [5, 11, 23]


def asking(**counts: int) -> Any:
    demo = load_source(source_file("demo"))
    return {name: demo.model_copy(update={"clusters": ClusterRules(count=count)}) for name, count in counts.items()}


def test_which_sources_are_trained() -> None:
    assert require_trainable(asking(tv=4, shop=4, off=0), THROUGH, THROUGH) == ["shop", "tv"]


@pytest.mark.parametrize(
    ("counts", "newest_cleaned", "message"),
    [
        ({"off": 0}, THROUGH, r"no source has clusters: expected .*\[clusters\].* of off"),
        ({"shop": 4}, date(2026, 1, 30), r"through 2026-01-31 lack days: the newest .* 2026-01-30"),
        ({"shop": 4}, None, r"the newest published day is none"),
    ],
)
def test_a_training_that_cannot_be_done_is_an_error(counts, newest_cleaned, message) -> None:
    with pytest.raises(InputError, match=message):
        require_trainable(asking(**counts), THROUGH, newest_cleaned)
