"""Write the demo's log line by line, its catalogue, and the true interests behind it."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path

import numpy as np

from pipeline.demo.catalogue import QUERIES, TAGS, catalogue_lines, item_name
from pipeline.demo.log import DemoLog, make_log, truth_records
from pipeline.demo.noise import BAD_TIME, BROKEN, EXACT, ORIGINAL, OWNERLESS, RESENT, RICHER, SOUND, UNKNOWN_TYPE
from pipeline.demo.plan import DAY_MS, HOUR_MS, DemoPlan, DemoSummary, Ints
from pipeline.demo.visits import KINDS, SEARCH

SHOP = "https://shop.example"
BAD_TIMES = ("n/a", "0000-00-00T00:00:00.000Z", "31.01.2026 08:15", "1970-01-01T00:00:00.000Z", "")
UNKNOWN_TYPES = ("heartbeat", "debug_ping", "experiment_exposure")
MIN_LENGTH = 10  # least number of characters that a broken line keeps


class LineRenderer:
    """Gives each event an id and renders its lines as JSON."""

    def __init__(self, log: DemoLog) -> None:
        rng = log.plan.rng("render")
        self._log = log
        self._ids = rng.bytes(16 * len(log.touches)).hex()
        self._chance = rng.random(len(log.touches))  # one random number per event, so that its copies are alike

    def texts(self, chosen: Ints) -> Iterator[str]:
        """Yield the text of the chosen lines, in order. chosen: indices into the log's lines."""
        lines = self._log.lines.take(chosen)
        times = zip(_iso(lines.created_ms), _iso(lines.sent_ms), _iso(lines.received_ms), strict=True)
        states = zip(lines.event.tolist(), lines.fault.tolist(), lines.has_dwell.tolist(), strict=True)
        for (event, fault, has_dwell), (created, sent, received) in zip(states, times, strict=True):
            chance = float(self._chance[event])
            created = _pick(BAD_TIMES, chance) if fault == BAD_TIME else created
            clocks = {"created": created, "sent": sent, "received": received}
            record = {
                "id": self._event_id(event),
                **({} if fault == OWNERLESS else self._owner(event)),
                **clocks,
                **self._content(event, chance, has_dwell=has_dwell),
            }
            if fault == UNKNOWN_TYPE:
                record["type"] = _pick(UNKNOWN_TYPES, chance)
            text = json.dumps(record, separators=(",", ":"))
            yield (text[: MIN_LENGTH + int(chance * (len(text) - MIN_LENGTH - 1))] if fault == BROKEN else text)

    def _event_id(self, event: int) -> str:
        digits = self._ids[32 * event : 32 * event + 32]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def _owner(self, event: int) -> dict[str, object]:
        log = self._log
        actor = log.actors[log.touches.actor[event]]
        user = None if log.before_login[event] else actor.user
        return {"user": user, "device": actor.devices[log.touches.device[event]].name}

    def _content(self, event: int, chance: float, *, has_dwell: bool) -> dict[str, object]:
        touches = self._log.touches
        actor = self._log.actors[touches.actor[event]]
        device = actor.devices[touches.device[event]]
        kind, dwell_seconds = int(touches.kind[event]), float(touches.dwell_seconds[event])
        if kind == SEARCH:
            tag = TAGS[touches.tag[event]]
            query = _pick(QUERIES, chance).format(tag.replace("-", " "))
            about: dict[str, object] = {"item": None, "query": query, "tags": [tag]}
            url = f"{SHOP}/search?q={query.replace(' ', '+')}"
        else:
            item = item_name(int(touches.item[event]))
            about, url = {"item": item}, f"{SHOP}/{item}"
        referrer = "https://search.example/" if touches.place[event] == 0 and chance < 0.5 else f"{SHOP}/"
        return {
            "type": KINDS[kind],
            **about,
            "dwell": dwell_seconds if has_dwell and not np.isnan(dwell_seconds) else None,
            "url": url,
            "referrer": None if touches.place[event] == 0 and chance >= 0.8 else referrer,
            "ua": device.user_agent,
            "ip": device.ip,
            "consent": actor.consents,
        }


def _iso(times_ms: Ints) -> list[str]:
    texts: list[str] = np.datetime_as_string(times_ms.astype("datetime64[ms]"), unit="ms", timezone="UTC").tolist()
    return texts


def _pick(choices: tuple[str, ...], chance: float) -> str:
    return choices[int(chance * len(choices))]


LATE_MS = HOUR_MS
GZIP_LEVEL = 6


def write_demo_log(folder: Path, plan: DemoPlan, progress: Callable[[int, int], None] | None = None) -> DemoSummary:
    """Write `events-<arrival day>.jsonl[.gz]`, `catalogue.jsonl` and `truth.jsonl` into `folder`; return counts.

    There is one file per arrival day (UTC date of `received`), in order of receipt; even days of the month are gzipped.
    Lines received after the plan's last day are left out. Existing files are overwritten.

    progress: called after each day with the number of days written and of all days.
    """
    log = make_log(plan)
    renderer = LineRenderer(log)
    folder.mkdir(parents=True, exist_ok=True)
    day_of_line = (log.lines.received_ms - plan.start_ms) // DAY_MS
    written_bytes = 0
    for number in range(plan.days):
        chosen = np.flatnonzero(day_of_line == number)
        written_bytes += _write_lines(folder / event_file(plan.day(number)), renderer.texts(chosen))
        if progress:
            progress(number + 1, plan.days)
    catalogue = catalogue_lines(log.catalogue)
    _write_lines(folder / "catalogue.jsonl", catalogue)
    _write_lines(folder / "truth.jsonl", (json.dumps(one) for one in truth_records(plan, log.people, log.bots)))
    return summarize(log, written_bytes, len(catalogue))


def event_file(day: date) -> str:
    """Return the file name of an arrival day."""
    return f"events-{day}.jsonl{'' if day.day % 2 else '.gz'}"


def summarize(log: DemoLog, written_bytes: int, catalogue_line_count: int) -> DemoSummary:
    """Count the lines of a log by kind."""
    lines, touches = log.lines, log.touches
    accepted = lines.take((lines.copy == ORIGINAL) & (lines.fault == SOUND))
    actor = touches.actor[accepted.event]
    is_declared = np.array([*(False for _ in log.people), *(bot.is_declared for bot in log.bots)])
    consents = np.array([one.consents for one in log.actors])
    copies = np.bincount(lines.copy, minlength=RICHER + 1)
    faults = np.bincount(lines.fault, minlength=UNKNOWN_TYPE + 1)
    return DemoSummary(
        files=log.plan.days,
        lines=len(lines),
        bytes=written_bytes,
        events=len(accepted),
        exact_copies=int(copies[EXACT]),
        resent_copies=int(copies[RESENT]),
        richer_copies=int(copies[RICHER]),
        broken_lines=int(faults[BROKEN]),
        ownerless_lines=int(faults[OWNERLESS]),
        bad_times=int(faults[BAD_TIME]),
        unknown_types=int(faults[UNKNOWN_TYPE]),
        late_events=int((accepted.received_ms - accepted.happened_ms > LATE_MS).sum()),
        skewed_events=int(log.skewed[accepted.event].sum()),
        no_consent_events=int((~consents[actor]).sum()),
        declared_bot_events=int(is_declared[actor].sum()),
        undeclared_bot_events=int(((actor >= len(log.people)) & ~is_declared[actor]).sum()),
        people=len(log.people),
        bots=len(log.bots),
        items=len(log.catalogue.titles),
        catalogue_lines=catalogue_line_count,
    )


def _write_lines(file: Path, lines: Iterable[str]) -> int:
    """Write lines, gzipped if the name ends in .gz; return the bytes on disk. The same lines give the same bytes."""
    content = "".join(f"{line}\n" for line in lines).encode()
    with file.open("wb") as raw:
        if file.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=raw, mtime=0) as packed:
                packed.write(content)
        else:
            raw.write(content)
    return file.stat().st_size
