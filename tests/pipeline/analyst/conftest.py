"""A small warehouse of real Iceberg tables: SQLite catalog, local files, several snapshots."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from rich.console import Console, RenderableType

from pipeline.analyst.ddl import declared_columns
from pipeline.landing.zone import LandingZone
from pipeline.warehouse.names import MAIN, NIGHT_TABLES

DAY = date(2026, 1, 31)
ANN, BOT = "a" * 64, "b" * 64  # pseudonyms
Row = dict[str, Any]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def schema(table: str) -> pa.Schema:
    columns = declared_columns(table)
    return pa.schema([pa.field(column.name, column.type, nullable=not column.is_required) for column in columns])


@dataclass
class Warehouse:
    """Tables of `interest`, written as a night writes them: append, then publish."""

    catalog: SqlCatalog
    folder: Path
    published: int = field(default=0)

    def append(self, table: str, *rows: Row, branch: str = MAIN) -> None:
        """Append rows to main or to another branch; required columns that a row lacks get a placeholder."""
        columns = declared_columns(table)
        filled = [
            {one.name: row.get(one.name, _some(one.type) if one.is_required else None) for one in columns}
            for row in rows
        ]
        kept = self.catalog.create_table_if_not_exists(("interest", table), schema=schema(table))
        kept.append(pa.Table.from_pylist(filled, schema=schema(table)), branch=branch)

    @property
    def zone(self) -> LandingZone:
        """The landing zone of `land`."""
        return LandingZone(self.folder / "landing")

    def land(self, source: str, day: date, file: str, texts: dict[int, str]) -> None:
        """Land lines of a file, given by number."""
        lines = [{"file": file, "line": line, "text": text} for line, text in texts.items()]
        folder = self.zone.day_folder(source, day)
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(lines), folder / f"{file}.parquet")

    def publish(self, as_of: date) -> dict[str, int]:
        """Add a release of the tables as they are; each is published an hour after the one before."""
        snapshots = {}
        for _, name in self.catalog.list_tables("interest"):
            current = self.catalog.load_table(("interest", name)).current_snapshot()
            if name != "releases" and current is not None:
                snapshots[name] = current.snapshot_id
        self.published += 1
        moment = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(hours=self.published)
        row = {"as_of": as_of, "number": self.published, "published_at": moment, "snapshots": snapshots}
        self.append("releases", {**row, "run_id": f"run-{self.published}"})
        return snapshots

    def stop(self, day: date, run_id: str) -> None:
        """Write a night of `shop` that was not published: 5 lines, 2 of them rejected."""
        branch = f"night_{day:%Y%m%d}"
        for name in NIGHT_TABLES:
            self.append(name)
            kept = self.catalog.load_table(("interest", name))
            kept.manage_snapshots().create_branch(kept.current_snapshot().snapshot_id, branch).commit()
        clean = {"step": "clean", "day": day, "source": "shop", "run_id": run_id, "finished_at": at("2026-02-01T03:00")}
        outcome = {"accepted": 3, "duplicates": 0, "rejects": 2}
        self.append("runs", {**clean, "rows_in": 5, "rows_out": outcome}, branch=branch)
        rejected = {"source": "shop", "file": "log.jsonl", "arrival_day": day, "detail": "no JSON"}
        reasons = {4: "unparsable", 5: "missing_user"}
        self.append(
            "rejects", *[{**rejected, "line": line, "reason": one} for line, one in reasons.items()], branch=branch
        )
        event = {"source": "shop", "arrival_day": day, "file": "log.jsonl", "user_id": ANN, "bot_class": "human"}
        events = [{**event, "event_id": f"e{line}", "line": line} for line in (1, 2, 3)]
        self.append("events", *events, branch=branch)


def _some(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        return []
    if pa.types.is_string(kind):
        return ""
    if pa.types.is_date(kind):
        return DAY
    if pa.types.is_timestamp(kind):
        return at("2026-01-31T10:00")
    return False if pa.types.is_boolean(kind) else 0


def interest(tag: str, affinity: float, rank: int, **more: Any) -> Row:
    return {"tag": tag, "affinity": affinity, "rank": rank, "trend": 0.0, "is_new": False, "evidence": [], **more}


def empty_warehouse(folder: Path) -> Warehouse:
    """Return a namespace without tables; the first row makes its table."""
    properties = {"uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}
    catalog = SqlCatalog("throughline", **properties)
    catalog.create_namespace("interest")
    return Warehouse(catalog, folder)


def write_night(warehouse: Warehouse) -> Warehouse:
    """Publish one night: Ann's session about jazz, a bot, two rejected lines, one late arrival."""
    clean = {"accepted": 5, "duplicates": 1, "rejects": 2}
    gate = [{"rule": "unique(event_id)", "broken_count": 0}, {"rule": "between(share)", "broken_count": 3},
            {"rule": "users: devices", "broken_count": 2, "is_warning": True}]  # fmt: skip
    step = {"day": DAY, "run_id": "run-1", "seconds": 2.0}
    warehouse.append(
        "runs",
        {**step, "step": "clean", "source": "shop", "rows_in": 8, "rows_out": clean},
        {**step, "step": "sessions", "rows_in": 5, "rows_out": {"sessions": 2}},
        {**step, "step": "sequences", "rows_in": 3, "rows_out": {"sequences": 1}},
        {**step, "step": "profiles", "rows_in": 1, "rows_out": {"profiles": 1}},
        {**step, "step": "audit", "rows_in": 9, "rows_out": {}, "gate": gate},
    )
    rejected = {"source": "shop", "file": "log.jsonl", "reason": "unparsable", "detail": "no JSON"}
    warehouse.append(
        "rejects", {**rejected, "line": 4, "detail": "[red]oops\x1b[31m" + "x" * 200}, {**rejected, "line": 7}
    )
    event = {"source": "shop", "event_type": "view", "bot_class": "human", "tags": ["jazz"], "item_id": "1",
             "item_space": "shop", "file": "log", "part": 1}  # fmt: skip
    warehouse.append(
        "events",
        {**event, "event_id": "e1", "user_id": ANN, "line": 1},
        {**event, "event_id": "e2", "user_id": ANN, "line": 2, "lateness_days": 4, "is_late": True},
        {**event, "event_id": "e3", "user_id": ANN, "line": 3, "consent": False},
        {
            **event,
            "event_id": "e4",
            "user_id": BOT,
            "line": 4,
            "bot_class": "declared",
            "bot_evidence": "bots-1: agent",
        },
        {**event, "event_id": "e5", "user_id": ANN, "line": 5, "tags": ["chess"], "item_id": None},
    )
    warehouse.append("items", {"space": "shop", "item_id": "1", "item": 11, "title": "Blue Train", "tags": ["jazz"]})
    moments = {"e1": "2026-01-31T10:00", "e2": "2026-01-31T10:05", "e5": "2026-01-31T10:09"}
    events = [
        {
            "event_id": one,
            "event_at": at(moment),
            "arrival_day": DAY,
            "file": "log",
            "line": int(one[1]),
            "part": 1,
            "event_type": "view",
            "item_space": "shop",
            "item_id": None if one == "e5" else "1",
        }
        for one, moment in moments.items()
    ]
    session = {
        "source": "shop",
        "user_id": ANN,
        "started_at": at("2026-01-31T10:00"),
        "ended_at": at("2026-01-31T10:09"),
    }
    warehouse.append(
        "sessions", {**session, "session_id": "s1", "events": events, "event_count": 3, "is_counted": True}
    )
    interests = [
        interest("jazz", 0.5, 1, trend=0.25, is_new=True, evidence=["s1", "s0"]),
        interest("chess", 0.25, 2, trend=-0.125),
    ]
    profile = {
        "user_id": ANN, "as_of": DAY, "interests": interests, "cohort": "1", "model_version": "counts-1",
        "event_count": 3, "session_count": 1, "return_probability": 0.75,
        "top_items": [{"item_id": "1", "title": "Blue Train", "score": 0.9}],
    }  # fmt: skip
    warehouse.append("profiles", profile)
    warehouse.publish(DAY)
    return warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return empty_warehouse(tmp_path)


@pytest.fixture
def own_night(warehouse: Warehouse) -> Warehouse:
    """One published night for a test that writes more."""
    return write_night(warehouse)


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One published night, shared by the tests that only read."""
    return write_night(empty_warehouse(tmp_path_factory.mktemp("night")))


@pytest.fixture(scope="session")
def three_nights(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Nights 1, 2, 4, then 2 again, each with one item more, and an item of an unpublished night; only for reading."""
    warehouse = empty_warehouse(tmp_path_factory.mktemp("three_nights"))
    for number, day in enumerate((1, 2, 4, 2)):
        warehouse.append("items", {"item_id": f"item-{number}"})
        warehouse.publish(date(2026, 1, day))
    warehouse.append("items", {"item_id": "of an unpublished night"})
    return warehouse


@pytest.fixture
def shown() -> Callable[[RenderableType], str]:
    """Return what a terminal of 200 columns would show."""

    def show(renderable: RenderableType) -> str:
        console = Console(width=200, color_system=None, record=True, file=io.StringIO())
        console.print(renderable)
        return console.export_text()

    return show


@pytest.fixture
def stopped(warehouse: Warehouse) -> Warehouse:
    """A first night of `shop`, which a gate stopped: main is empty, and the rows are on the branch of the run."""
    warehouse.stop(DAY, "terminal_20260131")
    return warehouse
