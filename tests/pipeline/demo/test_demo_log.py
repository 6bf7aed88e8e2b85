"""The demo's log on disk: the same bytes for the same plan, and the counts of the summary."""

import gzip
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.demo.catalogue import BROWSERS, CRAWLERS, TAGS
from pipeline.demo.plan import DemoPlan, DemoSummary
from pipeline.demo.write import event_file, write_demo_log
from pipeline.sources.schema import load_source, source_file

PLAN = DemoPlan(users=150)


@dataclass(frozen=True)
class Written:
    """The files read back. lines: (arrival day, text) in order of files and lines."""

    folder: Path
    summary: DemoSummary
    lines: list[tuple[date, str]]

    @property
    def records(self) -> list[tuple[date, dict[str, Any]]]:
        """Return the lines that are complete JSON objects."""
        return [(day, json.loads(text)) for day, text in self.lines if text.endswith("}")]

    @property
    def accepted(self) -> list[tuple[date, dict[str, Any]]]:
        """Return the first line of each valid event."""
        by_id: dict[str, tuple[date, dict[str, Any]]] = {}
        for day, record in self.records:
            if has_owner(record) and created_at(record) and record["type"] in known_types():
                by_id.setdefault(record["id"], (day, record))
        return list(by_id.values())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("demo")
    summary = write_demo_log(folder, PLAN, None)
    return Written(folder, summary, [(day, text) for day in days(PLAN) for text in lines_of(folder / event_file(day))])


def test_the_same_plan_gives_the_same_bytes(written: Written, tmp_path: Path) -> None:
    assert write_demo_log(tmp_path, PLAN, None) == written.summary
    names = sorted(file.name for file in written.folder.iterdir())
    assert names == sorted(file.name for file in tmp_path.iterdir())
    assert [name for name in names if (tmp_path / name).read_bytes() != (written.folder / name).read_bytes()] == []


def test_another_seed_gives_another_log(tmp_path: Path) -> None:
    small = [DemoPlan(seed=seed, users=20, days=7) for seed in (1, 2)]
    for plan in small:
        write_demo_log(tmp_path / str(plan.seed), plan, None)
    first, second = ((tmp_path / str(plan.seed) / event_file(plan.last_day)).read_bytes() for plan in small)
    assert first != second


def test_progress_is_reported_after_each_day(tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    write_demo_log(tmp_path, DemoPlan(users=20, days=7), lambda done, total: progress.append((done, total)))
    assert progress == [(day, 7) for day in range(1, 8)]


def test_the_summary_counts_lines_as_in_the_files(written: Written) -> None:
    summary, records = written.summary, [record for _, record in written.records]
    assert summary.files == len(list(written.folder.glob("events-*")))
    assert summary.bytes == sum(file.stat().st_size for file in written.folder.glob("events-*"))
    assert summary.lines == len(written.lines) == summary.events + summary.duplicates + summary.rejects
    assert summary.events == len(written.accepted)
    assert summary.broken_lines == len(written.lines) - len(records)
    assert summary.ownerless_lines == sum(not has_owner(record) for record in records)
    assert summary.bad_times == sum(created_at(record) is None for record in records)
    assert summary.unknown_types == sum(record["type"] not in known_types() for record in records)
    assert summary.no_consent_events == sum(not record["consent"] for _, record in written.accepted)
    lines_of_catalogue = lines_of(written.folder / "catalogue.jsonl")
    assert summary.catalogue_lines == len(lines_of_catalogue)
    assert summary.items == len({json.loads(line)["item"] for line in lines_of_catalogue})


def test_the_summary_counts_copies_as_in_the_files(written: Written) -> None:
    first: dict[str, dict[str, Any]] = {}
    kinds: Counter[str] = Counter()
    for _, record in written.records:
        earlier = first.setdefault(record["id"], record)
        if earlier is record:
            continue
        is_richer = earlier["dwell"] is None and record["dwell"] is not None
        kinds["exact" if earlier == record else "richer" if is_richer else "resent"] += 1
        assert event_at(record) == event_at(earlier)
        assert timedelta(0) <= moment(record["received"]) - moment(earlier["received"]) <= timedelta(days=5)
    assert kinds == {
        "exact": written.summary.exact_copies,
        "resent": written.summary.resent_copies,
        "richer": written.summary.richer_copies,
    }


def test_the_summary_counts_bots_and_clocks_as_in_the_files(written: Written) -> None:
    bots = {one["user"]: one["is_declared"] for one in truth(written.folder) if one["is_bot"]}
    of_bots = Counter(bots[owner(record)] for _, record in written.accepted if owner(record) in bots)
    assert of_bots == {True: written.summary.declared_bot_events, False: written.summary.undeclared_bot_events}
    late = [
        record for _, record in written.accepted if moment(record["received"]) - event_at(record) > timedelta(hours=1)
    ]
    assert written.summary.late_events == len(late)
    wrong = [
        record
        for _, record in written.accepted
        if abs(moment(record["received"]) - moment(record["sent"])) > timedelta(seconds=3)
    ]
    assert 0 < len(wrong) <= written.summary.skewed_events


def test_every_kind_of_noise_occurs(written: Written) -> None:
    assert [name for name, count in vars(written.summary).items() if count == 0] == []


def test_a_line_is_in_the_file_of_its_arrival_day(written: Written) -> None:
    assert all(moment(record["received"]).date() == day for day, record in written.records)
    received = [record["received"] for _, record in written.records]
    assert all(earlier <= later for earlier, later in pairwise(received))


def test_events_happen_before_they_are_received(written: Written) -> None:
    lateness = [moment(record["received"]) - event_at(record) for _, record in written.accepted]
    assert min(lateness) > timedelta(0)
    assert timedelta(days=2) < max(lateness) <= timedelta(days=5)


def test_some_events_come_before_log_in_and_crawlers_never_log_in(written: Written) -> None:
    nameless = [record for _, record in written.accepted if record["user"] is None]
    assert any(record["ua"] in BROWSERS for record in nameless)
    assert all(record["user"] is None for _, record in written.accepted if record["ua"] in CRAWLERS)


def test_scrapers_look_like_browsers_and_are_too_busy_for_people(written: Written) -> None:
    scrapers = {one["user"] for one in truth(written.folder) if one["is_bot"] and not one["is_declared"]}
    hits = Counter((day, record["user"]) for day, record in written.accepted if record["user"] in scrapers)
    assert len(scrapers) == 2
    assert max(hits.values()) > 1_000
    assert {record["ua"] for _, record in written.accepted if record["user"] in scrapers} <= set(BROWSERS)


def test_only_crawlers_name_themselves_bots() -> None:
    crawlers = pytest.importorskip("crawleruseragents").CRAWLER_USER_AGENTS_DATA
    declared = re.compile("|".join(f"(?:{entry['pattern']})" for entry in crawlers))
    assert [user_agent for user_agent in BROWSERS if declared.search(user_agent)] == []
    assert [user_agent for user_agent in CRAWLERS if not declared.search(user_agent)] == []


def test_every_item_has_a_known_tag_and_outdated_records_come_first(written: Written) -> None:
    seen: dict[str, dict[str, Any]] = {}
    for line in lines_of(written.folder / "catalogue.jsonl"):
        record = json.loads(line)
        assert record["tags"]
        assert set(record["tags"]) <= set(TAGS)
        assert seen.get(record["item"], record)["updated_at"] <= record["updated_at"]
        seen[record["item"]] = record
    assert {record["item"] for _, record in written.accepted if record["item"]} <= set(seen)


def test_true_interests_are_tags_of_the_catalogue_highest_weight_first(written: Written) -> None:
    for one in truth(written.folder):
        weights = [interest["weight"] for interest in one["interests"]]
        assert {interest["tag"] for interest in one["interests"] + one["history"]} <= set(TAGS)
        assert weights == sorted(weights, reverse=True)
        assert one["is_bot"] or 2 <= len(weights) <= 4
    users = [one["user"] for one in truth(written.folder)]
    assert len(users) == len(set(users)) == written.summary.people + written.summary.bots


def test_the_source_reads_every_field_of_a_line(written: Written) -> None:
    source = load_source(source_file("demo"))
    declared = {field.split()[0] for field in (source.reader.fields or "").split(", ")}
    assert declared == {field for _, record in written.records for field in record}


def test_a_plan_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="users = 5: expected at least 20"):
        DemoPlan(users=5)
    with pytest.raises(ValueError, match="days = 3: expected at least 7"):
        DemoPlan(days=3)


def days(plan: DemoPlan) -> list[date]:
    return [plan.day(number) for number in range(plan.days)]


def lines_of(file: Path) -> list[str]:
    raw = file.read_bytes()
    return (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode().splitlines()


def truth(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(folder / "truth.jsonl")]


@cache
def known_types() -> set[str]:
    return set(load_source(source_file("demo")).event_types)


def has_owner(record: dict[str, Any]) -> bool:
    return bool(record.get("user") or record.get("device"))


def owner(record: dict[str, Any]) -> str:
    return str(record["user"] or record["device"])


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def created_at(record: dict[str, Any]) -> datetime | None:
    """Return when a line says its event was created, or None where no clock can have shown that."""
    try:
        created = moment(record["created"])
    except ValueError:
        return None
    return created if created > datetime(1990, 1, 1, tzinfo=UTC) else None


def event_at(record: dict[str, Any]) -> datetime:
    return moment(record["received"]) - (moment(record["sent"]) - moment(record["created"]))
