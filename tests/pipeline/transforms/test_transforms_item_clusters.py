"""Clusters of items of a generated log with planted groups, and as tags of events without tags."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from pipeline.errors import InputError
from pipeline.sources.schema import ClusterRules, load_source, source_file
from pipeline.transforms.clean import with_cluster_tags
from pipeline.transforms.item_clusters import item_clusters, items_of_sessions
from pipeline.warehouse.clusters import newest_tags, newest_versions, sources_to_train

GROUPS, ITEMS_PER_GROUP, SESSIONS = 4, 8, 240
THROUGH = date(2026, 1, 31)
RULES = ClusterRules(count=GROUPS, least_sessions=3)
SESSION = (
    "session_id STRING, started_at TIMESTAMP, is_counted BOOLEAN, "
    "events ARRAY<STRUCT<event_at: TIMESTAMP, arrival_day: DATE, item_id: STRING>>"
)
VERSIONS = "source STRING, item_id STRING, tag STRING, trained_through DATE"
EVENTS = "source STRING, arrival_day DATE, item_id STRING, tags ARRAY<STRING>"
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
    return rows(item_clusters(sessions, no_titles, none_before, THROUGH, RULES))


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
    assert rows(item_clusters(mixed, no_titles, none_before, THROUGH, RULES)) == first_version


def test_a_new_version_keeps_the_tags_of_clusters_that_persist(frame_of, first_version, none_before) -> None:
    """Other sessions, and now with titles: the groups are the same, so their tags are too."""
    more = frame_of([*planted(1), *({**row, "session_id": f"new-{row['session_id']}"} for row in planted(2))], SESSION)
    titles = frame_of([{"item_id": row["item_id"], "title": f"the {row['item_id']}"} for row in first_version],
                      "item_id STRING, title STRING")  # fmt: skip
    before = frame_of(first_version, "item_id STRING, tag STRING")
    kept = rows(item_clusters(more, titles, before, THROUGH, RULES))
    then = {row["item_id"]: row["tag"] for row in first_version}
    assert np.mean([row["tag"] == then[row["item_id"]] for row in kept if row["item_id"] in then]) >= 0.9
    fresh = rows(item_clusters(more, titles, none_before, THROUGH, RULES))
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


def test_too_few_items_are_an_error_with_advice(sessions, no_titles, none_before) -> None:
    rules = ClusterRules(count=50, least_sessions=3)
    with pytest.raises(InputError, match=r"32 items .* 3 or more sessions .* clusters.count = 50: .* lower"):
        item_clusters(sessions, no_titles, none_before, THROUGH, rules)


def asking(**counts: int) -> Any:
    demo = load_source(source_file("demo"))
    return {name: demo.model_copy(update={"clusters": ClusterRules(count=count)}) for name, count in counts.items()}


KNOWN = [
    {"source": "shop", "item_id": "i", "tag": "old", "trained_through": "2026-01-10"},
    {"source": "shop", "item_id": "i", "tag": "new", "trained_through": "2026-01-20"},
    {"source": "shop", "item_id": "forgotten", "tag": "old", "trained_through": "2026-01-10"},
    {"source": "tv", "item_id": "i", "tag": "tv's", "trained_through": "2026-01-15"},
    {"source": "off", "item_id": "i", "tag": "off's", "trained_through": "2026-01-10"},
]


@pytest.mark.parametrize(
    ("event", "tags"),
    [
        ({"source": "shop", "arrival_day": "2026-01-10", "item_id": "i"}, []),
        ({"source": "shop", "arrival_day": "2026-01-11", "item_id": "i"}, ["old"]),
        ({"source": "shop", "arrival_day": "2026-01-20", "item_id": "i"}, ["old"]),
        ({"source": "shop", "arrival_day": "2026-01-21", "item_id": "i"}, ["new"]),
        ({"source": "shop", "arrival_day": "2026-02-21", "item_id": "forgotten"}, []),
        ({"source": "shop", "arrival_day": "2026-01-21", "item_id": "i", "tags": "its own"}, ["its", "own"]),
        ({"source": "shop", "arrival_day": "2026-01-21", "item_id": None}, []),
        ({"source": "tv", "arrival_day": "2026-01-21", "item_id": "i"}, ["tv's"]),
        ({"source": "off", "arrival_day": "2026-01-21", "item_id": "i"}, []),
    ],
)
def test_an_event_has_the_tag_of_the_newest_version_trained_before_it_arrived(frame_of, event, tags) -> None:
    found = with_cluster_tags(frame_of([event], EVENTS), frame_of(KNOWN, VERSIONS), asking(shop=4, tv=4, off=0))
    assert found.columns == ["source", "arrival_day", "item_id", "tags"]
    assert [row.tags for row in found.collect()] == [tags]


def test_tags_are_kept_from_the_newest_version(frame_of) -> None:
    clusters = frame_of(KNOWN, VERSIONS)
    newest = newest_versions(clusters)
    assert newest == {"shop": date(2026, 1, 20), "tv": date(2026, 1, 15), "off": date(2026, 1, 10)}
    assert [tuple(row) for row in newest_tags(clusters, "shop", newest).collect()] == [("i", "new")]
    assert newest_tags(clusters, "unknown", newest).collect() == []


def test_which_sources_are_trained() -> None:
    sources, newest = asking(shop=4, tv=4, off=0), {"shop": THROUGH}
    assert sources_to_train(sources, newest, THROUGH, THROUGH) == ["tv"]
    assert sources_to_train(sources, newest | {"tv": THROUGH}, THROUGH, THROUGH) == []


@pytest.mark.parametrize(
    ("counts", "newest", "newest_cleaned", "message"),
    [
        ({"off": 0}, {}, THROUGH, r"no source has clusters: expected \[clusters\].* of off"),
        ({"shop": 4}, {}, date(2026, 1, 30), r"through 2026-01-31 lack days: the newest .* 2026-01-30"),
        ({"shop": 4}, {}, None, r"the newest published day is none"),
        ({"shop": 4}, {"shop": date(2026, 2, 1)}, date(2026, 2, 1),
         r"clusters-1\.20260201 of shop is trained on days after 2026-01-31.*train through 2026-02-01 or later"),
    ],
)  # fmt: skip
def test_a_training_that_cannot_be_done_is_an_error(counts, newest, newest_cleaned, message) -> None:
    with pytest.raises(InputError, match=message):
        sources_to_train(asking(**counts), newest, THROUGH, newest_cleaned)
