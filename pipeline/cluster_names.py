"""What to call clusters of items, so that a topic keeps its name when clusters are made anew."""

from collections.abc import Mapping, Sequence


def cluster_tags(typical: Mapping[int, Sequence[str]], before: Mapping[int, Mapping[str, int]]) -> dict[int, str]:
    """Return the tag of each cluster; no two are equal.

    A cluster takes over an old tag if most of its items that had a tag had this one; of several such clusters the one
    with most of these items takes it. All others are called after their typical items.

    typical: the names of each cluster's most typical items. before: how many of its items had which tag.
    """
    tags = dict[int, str]()
    for _, cluster, old in sorted(_claims(before)):
        if old not in tags.values():
            tags[cluster] = old
    for cluster, names in sorted(typical.items()):
        tags.setdefault(cluster, _not_among({*tags.values()}, f"like {' & '.join(names)}"))
    return tags


def _claims(before: Mapping[int, Mapping[str, int]]) -> list[tuple[int, int, str]]:
    """Return which cluster may take over which tag, the strongest claim first."""
    return [
        (-count, cluster, old)
        for cluster, counts in before.items()
        for old, count in counts.items()
        if 2 * count > sum(counts.values())
    ]


def _not_among(taken: set[str], wanted: str) -> str:
    tag, number = wanted, 1
    while tag in taken:
        number += 1
        tag = f"{wanted} ({number})"
    return tag
