"""Tags of clusters of items, and how they persist."""

import pytest

from pipeline.transforms.item_clusters import cluster_tags

TYPICAL = {0: ["spade", "trowel"], 1: ["pan", "pot"]}


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({}, {0: "like spade & trowel", 1: "like pan & pot"}),
        ({0: {"old": 6, "other": 5}}, {0: "old", 1: "like pan & pot"}),
        ({0: {"old": 5, "other": 5}}, {0: "like spade & trowel", 1: "like pan & pot"}),
        ({0: {"old": 3}, 1: {"old": 4, "other": 1}}, {0: "like spade & trowel", 1: "old"}),
        ({0: {"one": 3}, 1: {"two": 3}}, {0: "one", 1: "two"}),
        ({0: {"old": 3}, 1: {"old": 3}}, {0: "old", 1: "like pan & pot"}),
        ({1: {"like spade & trowel": 3}}, {0: "like spade & trowel (2)", 1: "like spade & trowel"}),
    ],
    ids=[
        "the first version", "most of its items", "half is not most", "the larger part of a split", "all persist",
        "a tie goes to the first", "a name that is taken",
    ],
)  # fmt: skip
def test_a_persisting_cluster_keeps_its_tag(before, expected) -> None:
    assert cluster_tags(TYPICAL, before) == expected


def test_clusters_with_equal_titles_have_different_tags() -> None:
    named = cluster_tags({0: ["spade"], 1: ["spade"], 2: ["spade"]}, {})
    assert list(named.values()) == ["like spade", "like spade (2)", "like spade (3)"]
