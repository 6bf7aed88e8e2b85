"""Shared by tests of transforms: session rules of cases, cleaned logs, and whole runs on lists of rows."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from pipeline.analyst.ddl import declared_columns
from pipeline.days import DayRange
from pipeline.landing.arrival import land_events
from pipeline.landing.clean_plan import CleanPlan, plan_cleaning
from pipeline.landing.staging import StagedFile, stage_files
from pipeline.landing.zone import LandedDay, LandingZone
from pipeline.settings import Settings
from pipeline.sources.schema import Source
from pipeline.transforms.clean import Cleaned, clean, validate
from pipeline.transforms.deduplicate import FILLED_BY_COPIES
from pipeline.transforms.device_stitching import device_owners, device_users, most_users, moved_devices, owned
from pipeline.transforms.incremental_sessions import affected_sessions, changed_by, events_to_sessionize
from pipeline.transforms.log_size import SHORT_LOG
from pipeline.transforms.parse import landed_lines
from pipeline.transforms.rows import frame_of_rows
from pipeline.transforms.sequences import sequences
from pipeline.transforms.sessions import Rules, sessionize, sessions_of
from pipeline.transforms.union import union
from pipeline.warehouse.names import EVENT_KEY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CASES = Path(__file__).resolve().parents[2] / "cases"
MINIMAL = {
    "reader": {"format": "jsonl", "fields": "user STRING"},
    "columns": {"user_id": "user", "event_at": "at", "event_type": "type", "item_id": "item"},
    "event_types": {"view": {"as": "view"}},
}


def sources_of(tomls: dict[str, dict[str, Any]]) -> dict[str, Source]:
    return {name: Source.model_validate({"name": name, **MINIMAL, **one}) for name, one in tomls.items()}


@pytest.fixture(scope="session")
def rules_by_source() -> Callable[[dict[str, dict[str, Any]]], Rules]:
    """Return the function that makes session rules of the TOML of each source: `time_zone`, `[sessions]`."""
    return lambda tomls: Rules.of(sources_of(tomls))


@pytest.fixture(scope="session")
def sources_of_case() -> Callable[[Path], tuple[dict[str, Source], dict[str, Any]]]:
    """Return the function that reads a case's `rules.toml`: tables are sources (default: one, `web`), the rest options.

    Default: one source `web` with default rules, and no options.
    """

    def read(case: Path) -> tuple[dict[str, Source], dict[str, Any]]:
        file = case / "rules.toml"
        content = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        sources = {name: one for name, one in content.items() if isinstance(one, dict)} or {"web": {}}
        return sources_of(sources), {name: one for name, one in content.items() if name not in sources}

    return read


@pytest.fixture(scope="session")
def rules_of_case(
    sources_of_case: Callable[[Path], tuple[dict[str, Source], dict[str, Any]]],
) -> Callable[[Path], tuple[Rules, dict[str, Any]]]:
    """Return the function that reads the session rules and the options of a case."""

    def read(case: Path) -> tuple[Rules, dict[str, Any]]:
        sources, options = sources_of_case(case)
        return Rules.of(sources), options

    return read


LINES = pa.schema(
    [("source", pa.string()), ("arrival_day", pa.date32()), ("file", pa.string()), ("line", pa.int64()),
     ("text", pa.string()), ("header", pa.string())]
)  # fmt: skip
KEYS = {
    "events": [*EVENT_KEY], "rejects": ["file", "line", "part"], "sessions": ["session_id"],
    "device_users": ["device_id", "user_id", "arrival_day"], "sequences": ["user_id", "as_of"],
}  # fmt: skip
Row = dict[str, Any]


@dataclass
class Nights:
    """A warehouse of one source and the steps of a run, with lists of rows instead of Iceberg tables."""

    spark: "SparkSession"
    settings: Settings
    source: Source
    landed: dict[date, list[str]] = field(default_factory=dict)
    cleaned: dict[tuple[str, date], str] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in KEYS})

    def land(self, log: dict[date, list[str]]) -> "Nights":
        self.landed |= log
        return self

    def copy(self) -> "Nights":
        return replace(self, landed=dict(self.landed), cleaned=dict(self.cleaned), tables=deepcopy(self.tables))

    def run(self, first: date, last: date | None = None) -> "Nights":
        """Clean, sessions and sequences of a day or a range."""
        days = DayRange(first, last or first)
        landed = {day: LandedDay(self.source.name, day, len(texts), str(texts)) for day, texts in self.landed.items()}
        plan = plan_cleaning(
            days, {self.source.name: landed}, self.cleaned, self._first_filled_since, {self.source.name: ""}
        )
        before = {name: list(rows) for name, rows in self.tables.items()}
        newest_before = max((day for _, day in self.cleaned), default=None)
        self._clean(plan)
        self.cleaned |= {(day.source, day.day): day.sha256 for day in plan.landed}
        self.cleaned |= {("", day): "" for day in plan.empty_days}
        cleaned = [day.day for day in plan.landed] + plan.empty_days
        self._cut(cleaned, before, newest_before)
        self._read_histories(sorted({*days, *cleaned}))
        return self

    def _first_filled_since(self, day: date) -> date | None:
        filled = [row for row in self.tables["events"] if row["arrival_day"] < day <= row["last_copy_on"]]
        return min((row["arrival_day"] for row in filled), default=None)

    def _clean(self, plan: CleanPlan) -> None:
        rows = [
            {"source": day.source, "arrival_day": day.day, "file": str(day.day), "line": number, "text": text}
            for day in plan.landed
            for number, text in enumerate(self.landed[day.day], 1)
        ]
        validated = validate(self._lines(rows), self.source, b"key", self.settings).localCheckpoint()
        earlier = [row for row in self.tables["events"] if row["arrival_day"] < plan.first]
        made = clean(validated, self._frame("events", earlier), plan.first, self.settings)
        self._replace("events", made.events, lambda row: plan.first <= row["arrival_day"] <= plan.last)
        self._replace("rejects", made.rejects, lambda row: plan.first <= row["arrival_day"] <= plan.last)
        self._update(made.filled, EVENT_KEY, (*FILLED_BY_COPIES, "last_copy_on"))
        self._update(made.reclassed, EVENT_KEY, ("bot_class", "bot_evidence"))
        log_ins = device_users(
            self._frame("events", self.tables["events"]), most_users({self.source.name: self.source})
        )
        self._replace("device_users", log_ins, lambda _: True)

    def _cut(self, cleaned: list[date], before: dict[str, list[Row]], newest_before: date | None) -> None:
        from pyspark.sql import functions as F

        rules, shares = self._rules(), most_users({self.source.name: self.source})
        newest, then = F.lit(max(day for _, day in self.cleaned)), F.lit(newest_before).cast("date")
        owners, owners_before = (
            device_owners(self._frame("device_users", tables["device_users"]), shares)
            for tables in (self.tables, before)
        )
        events = owned(self._frame("events", self.tables["events"]), owners, newest)
        events_before = owned(self._frame("events", before["events"]), owners_before, then)
        moved = moved_devices(owners, owners_before, newest, then) if shares else None
        changed = changed_by(events, events_before, cleaned, moved)
        affected = affected_sessions(self._frame("sessions", self.tables["sessions"]), changed, rules).localCheckpoint()
        gone = {row.session_id for row in affected.select("session_id").collect()}
        made = sessions_of(sessionize(events_to_sessionize(affected, changed), rules), rules, newest)
        self._replace("sessions", made, lambda row: row["session_id"] in gone)

    def _read_histories(self, days: list[date]) -> None:
        known = self._frame("events", [row for row in self.tables["events"] if row["known_on"] <= days[-1]])
        shares = most_users({self.source.name: self.source})
        owners = device_owners(self._frame("device_users", self.tables["device_users"]), shares)
        made = sequences(known, owners, days, self._rules(), length=10)
        self._replace("sequences", made, lambda row: row["as_of"] in days)

    def _rules(self) -> Rules:
        return Rules.of({self.source.name: self.source})

    def _lines(self, rows: list[Row]) -> "DataFrame":
        return self.spark.createDataFrame(pa.Table.from_pylist(rows, schema=LINES))

    def _frame(self, name: str, rows: list[Row]) -> "DataFrame":
        schema = pa.schema([(column.name, column.type) for column in declared_columns(name)])
        return self.spark.createDataFrame(pa.Table.from_pylist(rows, schema=schema))

    def _replace(self, name: str, made: "DataFrame", is_replaced: Callable[[Row], bool]) -> None:
        columns = [column.name for column in declared_columns(name)]
        kept = [row for row in self.tables[name] if not is_replaced(row)]
        kept += made.select(columns).toArrow().to_pylist()
        self.tables[name] = sorted(kept, key=lambda row: [row[key] for key in KEYS[name]])

    def _update(self, changed: "DataFrame", key: tuple[str, ...], columns: tuple[str, ...]) -> None:
        news = {tuple(row[name] for name in key): row for row in changed.toArrow().to_pylist()}
        for row in self.tables["events"]:
            if new := news.get(tuple(row[name] for name in key)):
                row.update({name: new[name] for name in columns})


@pytest.fixture(scope="module")
def nights_of(spark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Source], Nights]]:
    """Return the function that makes an empty warehouse of a source. Its steps know that the log is short."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    spark.conf.set(SHORT_LOG, "true")
    yield lambda source: Nights(spark, settings, source)
    spark.conf.unset(SHORT_LOG)


@dataclass(frozen=True)
class CleanedLog:
    """Landed files of a source, validated, and on demand cleaned as the first files of the source."""

    staged: Sequence[StagedFile]
    first_day: date
    validated: "DataFrame"
    settings: Settings

    @cached_property
    def cleaned(self) -> Cleaned:
        own = ", ".join(f"`{name}` {kind}" for name, kind in self.validated.drop("reason", "detail", "text").dtypes)
        schema = f"{own}, known_on DATE, bot_class STRING, last_copy_on DATE, refused_on DATE"
        known = frame_of_rows(self.validated.sparkSession, [], schema)
        return clean(self.validated, known, self.first_day, self.settings)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Accepted lines, duplicates, and rejects by reason: together, all lines."""
        outcomes = union(
            [
                self.cleaned.events.selectExpr("'accepted' AS outcome"),
                self.cleaned.copies.selectExpr("'duplicates' AS outcome"),
                self.cleaned.rejects.selectExpr("reason AS outcome"),
            ]
        )
        counted = {row.outcome: row["count"] for row in outcomes.groupBy("outcome").count().collect()}
        assert sum(counted.values()) == self.lines_in, "a line was lost or made up"
        return {"accepted": 0, "duplicates": 0, **counted}

    @property
    def lines_in(self) -> int:
        return sum(file.lines for file in self.staged)


@pytest.fixture
def cleaned_log(spark, tmp_path: Path) -> Callable[..., CleanedLog]:
    """Return the function that lands files on the arrival days of their lines, and validates them.

    arrival_day: that of all lines, instead of what they say.
    """

    def make(source: Source, *files: Path, arrival_day: Any = None) -> CleanedLog:
        settings = Settings(home=tmp_path)
        zone = LandingZone(tmp_path / f"landing-{len(list(tmp_path.iterdir()))}")
        staged = stage_files(files, zone, source.name, source.reader, tmp_path / "staging")
        first_day = land_events(spark, zone, source, staged, arrival_day, tmp_path / "staging")[0]
        lines = landed_lines(spark, zone, CleanPlan(list(zone.days(source.name).values()), []))[source.name]
        return CleanedLog(staged, first_day, validate(lines, source, b"key", settings).localCheckpoint(), settings)

    return make
