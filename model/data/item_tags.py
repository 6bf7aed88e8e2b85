"""Tags of items for logs without tags: clusters of items, read from `interest.item_clusters`, given to their events.

A version of clusters is a map from items to tags. What a model learns from one version holds for no other, so each
model keeps the day of its version. sql/ddl/item_clusters.sql declares the columns for Spark.

Shape letters: N rows of the table, I items of a map (sorted), E events, M touches (one per event and tag of it).
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError

from model.data.arrays import Ints
from model.data.days import day_number

TABLE = ("interest", "item_clusters")
ITEM_CLUSTERS = pa.schema(
    [
        ("source", pa.large_string()),
        ("item", pa.int64()),
        ("tag", pa.large_string()),
        ("trained_through", pa.date32()),
        ("known_on", pa.date32()),
    ]
)


@dataclass(frozen=True)
class ItemTags:
    """All versions of item clusters. rows: ITEM_CLUSTERS, without nulls."""

    rows: pa.Table

    def with_tags(self, sequences: pa.Table, day: date, version: date | None = None) -> pa.Table:
        """Return the rows of sequences as of a day; events without tags have the tag of their item.

        Of each source the newest version trained through `version` counts, with what it knew at the end of `day` or
        of its own day. The default is `day`.
        """
        item_I, tag_I = self._map(day, version or day)
        return fill_tags(sequences, item_I, tag_I) if len(item_I) and len(sequences) else sequences

    def through(self, day: date) -> date | None:
        """Return the day of the newest version that is trained through `day` or earlier; None if there is none."""
        numbers = np.asarray(self.rows["trained_through"].cast(pa.int32()))
        known = numbers[numbers <= day_number(day)]
        return date.fromordinal(date(1970, 1, 1).toordinal() + int(known.max())) if len(known) else None

    @lru_cache(maxsize=8)  # noqa: B019  one object a process
    def _map(self, day: date, version: date) -> tuple[Ints, pa.Array]:
        trained_N = np.asarray(self.rows["trained_through"].cast(pa.int32()))
        known_N = np.asarray(self.rows["known_on"].cast(pa.int32()))
        sources = pc.dictionary_encode(self.rows["source"].combine_chunks())
        source_N = np.asarray(sources.indices)
        is_known_N = trained_N <= day_number(version)
        newest = np.full(len(sources.dictionary), np.iinfo(np.int32).min)
        np.maximum.at(newest, source_N[is_known_N], trained_N[is_known_N])
        is_used_N = (trained_N == newest[source_N]) & (known_N <= np.maximum(trained_N, day_number(day)))
        used = self.rows.filter(pa.array(is_used_N)).sort_by([("item", "ascending"), ("source", "ascending")])
        item_I, first_I = np.unique(np.asarray(used["item"]), return_index=True)
        return item_I, used["tag"].combine_chunks().take(pa.array(first_I))

    def __hash__(self) -> int:
        return id(self)


NO_TAGS = ItemTags(ITEM_CLUSTERS.empty_table())


def read_item_tags(catalog: Catalog, branch: str) -> ItemTags:
    """Return the versions at the head of `branch` if the table has that ref, else of main; none without the table."""
    try:
        table = catalog.load_table(TABLE)
    except NoSuchTableError:
        return NO_TAGS
    names = ITEM_CLUSTERS.names
    head = table.snapshot_by_name(branch) or table.snapshot_by_name("main")
    if head is None or not set(names) <= set(table.schema().as_arrow().names):
        return NO_TAGS
    scan = table.scan(
        row_filter="item is not null and known_on is not null",
        selected_fields=tuple(names),
        snapshot_id=head.snapshot_id,
    )
    return ItemTags(scan.to_arrow().select(names).cast(ITEM_CLUSTERS))


def fill_tags(sequences: pa.Table, item_I: Ints, tag_I: pa.Array) -> pa.Table:
    """Return the rows with the tag of the item for each event that has no tag and an item among `item_I` (sorted).

    sequences: needs `item` and `tags`.
    """
    tags = sequences["tags"].combine_chunks()
    events_U = np.asarray(pc.list_value_length(tags))
    tags_of_events = tags.flatten()
    item_E = np.asarray(sequences["item"].combine_chunks().flatten())
    count_E = np.asarray(pc.list_value_length(tags_of_events))
    place_E = np.searchsorted(item_I, item_E).clip(max=len(item_I) - 1)
    is_filled_E = (count_E == 0) & (item_I[place_E] == item_E)
    if not is_filled_E.any():
        return sequences
    own_M = tags_of_events.flatten()
    filled_count_E = np.where(is_filled_E, 1, count_E)
    is_filled_M = np.repeat(is_filled_E, filled_count_E)
    from_M = np.empty(len(is_filled_M), dtype=np.int64)
    from_M[~is_filled_M] = np.arange(len(own_M))
    from_M[is_filled_M] = len(own_M) + place_E[is_filled_E]
    values = pa.concat_arrays([own_M, tag_I.cast(own_M.type)]).take(pa.array(from_M))
    filled = pa.LargeListArray.from_arrays(_offsets(filled_count_E), values)
    column = pa.LargeListArray.from_arrays(_offsets(events_U), filled)
    return sequences.set_column(sequences.schema.get_field_index("tags"), "tags", column)


def _offsets(lengths: Ints) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
