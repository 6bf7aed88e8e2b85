"""Tags of items for events without tags: which version counts, what it knew, and interests by it."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog

import model.scoring as scoring
from model.data.cutoffs import Cutoffs
from model.data.exchange import Exchange
from model.data.folds import read_histories
from model.data.history import HISTORY_COLUMNS, history_of
from model.data.item_tags import ITEM_CLUSTERS, ItemTags, read_item_tags
from model.data.sequences import SEQUENCES, open_sequences, sequences_with
from model.registry import Registry, Training

SequencesOf = Callable[..., pa.Table]
Rows = list[tuple[str, int, str, str, str]]

# source, item, tag, trained_through, known_on
ROWS: Rows = [
    ("shop", 1, "old", "2026-01-10", "2026-01-10"),
    ("shop", 2, "old", "2026-01-10", "2026-01-15"),
    ("shop", 1, "new", "2026-01-20", "2026-01-20"),
    ("shop", 3, "new", "2026-01-20", "2026-01-25"),
    ("tv", 9, "tv's", "2026-01-05", "2026-01-05"),
]


def item_tags(rows: Rows = ROWS) -> ItemTags:
    columns = list(zip(*rows, strict=True))
    days = [pa.array([date.fromisoformat(day) for day in column]) for column in columns[3:]]
    return ItemTags(pa.table([*map(pa.array, columns[:3]), *days], names=ITEM_CLUSTERS.names).cast(ITEM_CLUSTERS))


def tags_of(rows: pa.Table) -> list[list[str]]:
    return [tags for lists in rows["tags"].to_pylist() for tags in lists]


@pytest.mark.parametrize(
    ("day", "version", "tags"),
    [
        ("2026-01-04", None, [[], [], [], [], ["own"], []]),
        ("2026-01-10", None, [["old"], [], [], ["tv's"], ["own"], []]),
        ("2026-01-19", None, [["old"], ["old"], [], ["tv's"], ["own"], []]),
        ("2026-01-20", None, [["new"], [], [], ["tv's"], ["own"], []]),
        ("2026-01-25", None, [["new"], [], ["new"], ["tv's"], ["own"], []]),
        ("2026-01-25", "2026-01-19", [["old"], ["old"], [], ["tv's"], ["own"], []]),
        ("2026-01-08", "2026-01-10", [["old"], [], [], ["tv's"], ["own"], []]),
    ],
    ids=["before", "the day itself", "placed later", "a new version", "its new item", "a model's version", "a cutoff"],
)
def test_an_event_has_the_tag_that_its_item_had_on_the_day(day, version, tags, sequences_of: SequencesOf) -> None:
    touches = [("u", f"2026-01-01 0{n}:00", "", item) for n, item in enumerate((1, 2, 3, 9))]
    rows = sequences_of([*touches, ("u", "2026-01-01 05:00", "own", 1), ("u", "2026-01-01 06:00", "", 0)])
    filled = item_tags().with_tags(rows, date.fromisoformat(day), date.fromisoformat(version) if version else None)
    assert tags_of(filled) == tags
    assert filled.drop_columns(["tags"]) == rows.drop_columns(["tags"])


def test_slices_and_several_users_keep_their_own_tags(sequences_of: SequencesOf) -> None:
    rows = sequences_of(
        [("a", "2026-01-01", "x y", 1), ("b", "2026-01-01 01:00", "", 1), ("b", "2026-01-01 02:00", "z", 2),
         ("c", "2026-01-01", "", 3), ("c", "2026-01-01 01:00", "", 1)]
    )  # fmt: skip
    filled = item_tags().with_tags(rows.sort_by("user_id").slice(1), date(2026, 1, 25))
    assert filled["tags"].to_pylist() == [[["new"], ["z"]], [["new"], ["new"]]]
    assert len(history_of(filled).tag_M) == 4


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlCatalog:
    made = SqlCatalog("x", type="sql", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/w")
    made.create_namespace("interest")
    monkeypatch.setattr(scoring, "load_catalog", lambda name: made)
    return made


def with_tables(catalog: SqlCatalog, sequences: pa.Table) -> Any:
    table = catalog.create_table("interest.sequences", SEQUENCES)
    with table.update_spec() as spec:
        spec.add_identity("as_of")
    table.append(sequences)
    clusters = catalog.create_table("interest.item_clusters", ITEM_CLUSTERS)
    clusters.append(item_tags().rows)
    return clusters


def test_a_home_without_the_table_or_its_columns_has_no_tags(catalog: SqlCatalog) -> None:
    assert len(read_item_tags(catalog, "main").rows) == 0
    older = catalog.create_table("interest.item_clusters", ITEM_CLUSTERS.remove(1))
    older.append(item_tags().rows.drop_columns(["item"]))
    assert len(read_item_tags(catalog, "main").rows) == 0


def test_rows_of_an_earlier_release_are_left_out(catalog: SqlCatalog) -> None:
    table = catalog.create_table("interest.item_clusters", ITEM_CLUSTERS)
    table.append(item_tags().rows)
    row = {"source": "shop", "item": None, "tag": "former", "trained_through": date(2026, 1, 30), "known_on": None}
    table.append(pa.Table.from_pylist([row], ITEM_CLUSTERS))
    assert sorted(read_item_tags(catalog, "night_20260130").rows["tag"].to_pylist()) == sorted(
        tag for _, _, tag, _, _ in ROWS
    )


def interests(folder: Path) -> dict[str, set[str]]:
    rows = pq.read_table(folder / "profiles" / "as_of=2026-01-26.parquet").to_pylist()
    return {row["user_id"]: {one["tag"] for one in row["interests"]} for row in rows}


def test_a_night_of_counts_gives_interests_to_users_of_items_without_tags(
    catalog: SqlCatalog, tmp_path: Path, sequences_of: SequencesOf
) -> None:
    with_tables(catalog, sequences_of([("u", "2026-01-26 10:00", "", 1), ("v", "2026-01-26 11:00", "", 9)]))
    exchange = Exchange(tmp_path, "try")
    scoring.score_night([date(2026, 1, 26)], "main", exchange, True, "none", 7)
    assert interests(exchange.folder) == {"u": {"new", "tv's"}, "v": {"new", "tv's"}}


def test_a_training_uses_the_version_of_its_test_cutoff_throughout(
    catalog: SqlCatalog, sequences_of: SequencesOf
) -> None:
    rows = [sequences_of([("u", f"2026-01-{day} 10:00", "", 1)]) for day in ("05", "12", "19", "22")]
    with_tables(catalog, pa.concat_tables(rows))
    cutoffs = Cutoffs((date(2026, 1, 5),), date(2026, 1, 12), date(2026, 1, 19), 3)
    schema = sequences_with(HISTORY_COLUMNS)
    sequences = open_sequences(catalog, "main", date(2025, 12, 1), date(2026, 1, 22), schema)
    histories = read_histories(sequences, cutoffs, read_item_tags(catalog, "main"))
    assert {tuple(history.tag_T) for history in histories.values()} == {("old",)}
    assert item_tags().through(cutoffs.test) == date(2026, 1, 10)
    assert item_tags().through(date(2026, 1, 4)) is None


def test_a_registered_model_keeps_the_day_of_its_clusters(tmp_path: Path) -> None:
    day = date(2026, 1, 10)
    training = Training("r", {}, {}, date(2026, 1, 17), 1, {}, clusters_through=day)
    registry = Registry(tmp_path)
    made = registry.register(
        "boosting-1", training, registry.record(training), lambda to: (to / "x").write_text("x") and None, True
    )
    assert made.clusters_through == day
    assert [version.clusters_through for version in registry.versions()] == [day]
