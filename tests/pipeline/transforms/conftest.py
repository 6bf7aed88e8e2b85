"""Sources and rules for the cases: a minimal source, with what a case's `rules.toml` says of it. Logs as cleaned."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.arrival import arrival_days
from pipeline.clean import Cleaned, clean, judge
from pipeline.landing import LandingZone, StagedFile, stage_files
from pipeline.sessionize import Rules
from pipeline.settings import Settings
from pipeline.source import Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CASES = Path(__file__).resolve().parents[2] / "cases"
MINIMAL = {
    "reader": {"format": "jsonl", "fields": "user STRING"},
    "columns": {"user_id": "user", "event_at": "at", "event_type": "type"},
    "event_types": {"view": {"as": "view"}},
}


@pytest.fixture(scope="session")
def rules_by_source() -> Callable[[dict[str, dict[str, Any]]], Rules]:
    """Return the function that makes session rules of what each source's TOML says: `time_zone`, `[sessions]`."""

    def make(told: dict[str, dict[str, Any]]) -> Rules:
        return Rules.of({name: Source.model_validate({"name": name, **MINIMAL, **one}) for name, one in told.items()})

    return make


@pytest.fixture(scope="session")
def rules_of_case(
    rules_by_source: Callable[[dict[str, dict[str, Any]]], Rules],
) -> Callable[[Path], tuple[Rules, dict[str, Any]]]:
    """Return the function that reads a case's `rules.toml`: tables are sources (default: one, `web`), the rest options.

    Default: one source `web` as it comes, and no options.
    """

    def read(case: Path) -> tuple[Rules, dict[str, Any]]:
        file = case / "rules.toml"
        told = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        sources = {name: one for name, one in told.items() if isinstance(one, dict)} or {"web": {}}
        return rules_by_source(sources), {name: one for name, one in told.items() if name not in sources}

    return read


@dataclass(frozen=True)
class CleanedLog:
    """Files of a source as they landed, judged, and on demand cleaned as if nothing had landed before."""

    staged: Sequence[StagedFile]
    judged: "DataFrame"
    settings: Settings

    @cached_property
    def cleaned(self) -> Cleaned:
        from pyspark.sql import functions as F

        own = ", ".join(f"`{name}` {kind}" for name, kind in self.judged.drop("reason", "detail", "text").dtypes)
        schema = f"{own}, known_on DATE, bot_class STRING, last_copy_on DATE"
        known = self.judged.sparkSession.createDataFrame([], schema)
        (first,) = self.judged.agg(F.min("arrival_day").alias("day")).collect()
        return clean(self.judged, known, first.day, self.settings)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Accepted lines, duplicates and rejects by their reason; these are all lines."""
        reasons = {row.reason: row["count"] for row in self.cleaned.rejects.groupBy("reason").count().collect()}
        found = {"accepted": self.cleaned.events.count(), "duplicates": self.cleaned.copies.count(), **reasons}
        assert sum(found.values()) == self.lines_in, "a line was lost or made up"
        return found

    @property
    def lines_in(self) -> int:
        return sum(file.lines for file in self.staged)


@pytest.fixture
def cleaned_log(spark, tmp_path: Path) -> Callable[..., CleanedLog]:
    """Return the function that stages files, finds the days on which their lines arrived, and judges them.

    arrival_day: that of all lines, instead of what they say.
    """
    from pyspark.sql import functions as F

    def make(source: Source, *files: Path, arrival_day: Any = None) -> CleanedLog:
        settings = Settings(home=tmp_path)
        zone = LandingZone(tmp_path / "landing")
        staged = stage_files(files, zone, source.name, source.reader, tmp_path / "staging")
        lines = spark.read.parquet(*[str(file.lines_file) for file in staged]).withColumn("source", F.lit(source.name))
        lines = lines.withColumn("arrival_day", F.lit(arrival_day)) if arrival_day else arrival_days(lines, source)
        return CleanedLog(staged, judge(lines, source, b"key", settings).localCheckpoint(), settings)

    return make
