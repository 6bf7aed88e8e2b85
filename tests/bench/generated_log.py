"""Generate a large, realistic clickstream fast: whole days as arrays, one file per day, equal for equal seeds.

Half of the sessions of a day are by users who come once. The others are by regular users, most of them rare, a few with
several sessions a day. Visit rates do not depend on the size of the log, so sizes can be compared.

python tests/bench/generated_log.py --events 1_000_000 --days 14 FOLDER
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Rows = dict[str, NDArray[np.int64]]  # aligned columns, one entry a line

DAY_MS = 86_400_000
MEAN_SESSION_EVENTS = 9
VISITS = 0.1  # sessions a day of the least frequent regular; the others come more often by a power law
MAX_VISITS = 3.0
ITEMS, TAGS = 20_000, 500
DUPLICATES, LATE, BROKEN = 0.01, 0.01, 0.005
LATEST_DAYS = 8
BOT_SHARE = 0.01  # of sessions, by declared bots
EVENTS_PER_FAST_BOT = 50_000  # events of a day per undeclared bot
FAST_BOT_EVENTS = 300
BUSY_USER = 3_000_000_000

TYPES = ("page_view", "search", "like", "add_to_cart", "purchase", "mystery")
TYPE_SHARES = (0.74, 0.12, 0.06, 0.06, 0.02)
SEARCH, MYSTERY = 1, 5
FINE, TRUNCATED, NO_USER, NO_TIME, UNKNOWN_TYPE, FUTURE = range(6)
AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Firefox/{version}.0" for version in range(60, 140)]
BOTS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
]


@dataclass(frozen=True)
class LogPlan:
    """The size of a log: about `events` lines over `days` arrival days; `busy_user_events` more are of BUSY_USER."""

    events: int
    days: int
    first_day: date = date(2026, 1, 5)
    seed: int = 7
    busy_user_events: int = 0

    @property
    def sessions_per_day(self) -> int:
        return max(2, self.events // self.days // MEAN_SESSION_EVENTS)

    @property
    def last_day(self) -> date:
        return self.first_day + timedelta(days=self.days - 1)


def write_log(plan: LogPlan, folder: Path) -> Iterator[tuple[date, Path, int]]:
    """Write one file of JSON lines per arrival day; yield each day, its file and its number of lines."""
    folder.mkdir(parents=True, exist_ok=True)
    waiting: dict[int, list[Rows]] = {}  # by the day on which they arrive
    for number in range(plan.days):
        random = np.random.default_rng([plan.seed, number])
        for arrives, rows in _scattered(_visits(plan, number, random), number, random):
            waiting.setdefault(arrives, []).append(rows)
        lines = _in_order_of_arrival(_together(waiting.pop(number)), number, random)
        day = plan.first_day + timedelta(days=number)
        file = folder / f"events-{day}.jsonl"
        _write(_rendered(lines, plan), file)
        yield day, file, len(lines["at"])


def _visits(plan: LogPlan, day: int, random: np.random.Generator) -> Rows:
    """Return the events of the sessions that start on a day; `at` is in milliseconds from the first day's start."""
    regular_sessions = plan.sessions_per_day // 2
    quantile = (np.arange(regular_sessions * 5) + 0.5) / (regular_sessions * 5)
    visits = np.minimum(VISITS / np.sqrt(quantile), MAX_VISITS)  # their mean is close to a fifth
    regulars = np.repeat(np.arange(len(visits)), random.poisson(visits))
    once = 1_000_000_000 + day * 10_000_000 + np.arange(plan.sessions_per_day - regular_sessions)
    user = random.permutation(np.concatenate([regulars, once]))
    length = np.minimum(1 + random.geometric(1 / (MEAN_SESSION_EVENTS - 1), len(user)), 60)
    bot = random.random(len(user)) < BOT_SHARE
    start = (day + random.beta(3, 2, len(user))) * DAY_MS  # more by evening

    session = np.repeat(np.arange(len(user)), length)
    gap = np.exp(random.normal(np.log(25_000), 1.0, len(session)))  # half of them within 25 seconds
    event = {
        "user": user[session],
        "at": (start[session] + _sum_within(gap, length)).astype(np.int64),
        "bot": bot[session].astype(np.int64),
    }
    parts = [event, _fast_bots(plan, day, random)]
    if plan.busy_user_events:
        parts.append(_busy_user(plan, day, random))
    return _with_content(_together(parts), day, random)


def _fast_bots(plan: LogPlan, day: int, random: np.random.Generator) -> Rows:
    """Return events a second and a half apart, with hardly any variation."""
    count = max(1, plan.events // plan.days // EVENTS_PER_FAST_BOT)
    step = np.arange(FAST_BOT_EVENTS) * 1500 + random.integers(0, 100, (count, FAST_BOT_EVENTS))
    start = (day * DAY_MS + random.integers(0, DAY_MS // 2, count))[:, None]
    user = 2_000_000_000 + day * 10_000 + np.arange(count)
    return {
        "user": np.repeat(user, FAST_BOT_EVENTS),
        "at": (start + step).ravel(),
        "bot": np.zeros(count * FAST_BOT_EVENTS, np.int64),
    }


def _busy_user(plan: LogPlan, day: int, random: np.random.Generator) -> Rows:
    """Return the events of BUSY_USER, at any time of the day."""
    count = plan.busy_user_events // plan.days
    return {
        "user": np.full(count, BUSY_USER),
        "at": day * DAY_MS + np.sort(random.integers(0, DAY_MS, count)),
        "bot": np.zeros(count, np.int64),
    }


def _with_content(rows: Rows, day: int, random: np.random.Generator) -> Rows:
    count = len(rows["at"])
    kind = random.choice(len(TYPE_SHARES), count, p=TYPE_SHARES)
    item = (ITEMS ** random.random(count)).astype(np.int64)  # the n-th item is chosen in proportion to 1 / n
    fault = np.where(random.random(count) < BROKEN, random.integers(TRUNCATED, FUTURE + 1, count), FINE)
    kind = np.where(fault == UNKNOWN_TYPE, MYSTERY, kind)
    return {**rows, "id": day * 100_000_000 + np.arange(count), "kind": kind, "item": item, "fault": fault}


def _scattered(rows: Rows, day: int, random: np.random.Generator) -> Iterator[tuple[int, Rows]]:
    """Return the lines by the day on which they arrive: most at once, some late, some twice."""
    count = len(rows["at"])
    happens = rows["at"] // DAY_MS  # sessions go on across midnight
    late = np.where(random.random(count) < LATE, random.integers(1, LATEST_DAYS + 1, count), 0)
    arrives = happens + late
    is_copied = random.random(count) < DUPLICATES
    copies = {name: column[is_copied] for name, column in rows.items()}
    arrives_again = arrives[is_copied] + random.integers(0, 2, int(is_copied.sum()))
    for part, days in ((rows, arrives), (copies, arrives_again)):
        for arrival in np.unique(days):
            yield int(arrival), {name: column[days == arrival] for name, column in part.items()}


def _in_order_of_arrival(rows: Rows, day: int, random: np.random.Generator) -> Rows:
    """Add `received`: within a minute of the event's time of day, on the day on which the line arrives."""
    clock = rows["at"] % DAY_MS + random.integers(100, 60_000, len(rows["at"]))
    received = day * DAY_MS + np.minimum(clock, DAY_MS - 1)
    order = np.argsort(received, kind="stable")
    return {name: column[order] for name, column in {**rows, "received": received}.items()}


def _rendered(rows: Rows, plan: LogPlan) -> pa.StringArray:
    """Return one JSON object a line, with its line end; a broken one has one kind of fault."""
    fault = rows["fault"]
    time = _timestamps(np.where(fault == FUTURE, rows["received"] + 30 * DAY_MS, rows["at"]), plan)
    has_item = pa.array((rows["kind"] != SEARCH) & (rows["kind"] != MYSTERY))
    item = pa.array(rows["item"]).cast(pa.string())
    topics = pa.array([f'"topic-{tag:03d}"' for tag in range(TAGS)])
    first, second = topics.take(pa.array(rows["item"] % TAGS)), topics.take(pa.array(rows["item"] * 7 % TAGS))
    both = pc.if_else(pa.array(rows["item"] % 3 == 0), pc.binary_join_element_wise(first, second, ","), first)
    agents = pa.array(AGENTS + BOTS)
    agent = np.where(rows["bot"] > 0, len(AGENTS) + rows["user"] % len(BOTS), rows["user"] % len(AGENTS))
    user = pc.binary_join_element_wise('"u', pa.array(rows["user"]).cast(pa.string()), '"', "")
    parts = [
        '{"id":"e', pa.array(rows["id"]).cast(pa.string()),
        '","user":', pc.if_else(pa.array(fault == NO_USER), "null", user),
        ',"time":"', pc.if_else(pa.array(fault == NO_TIME), "yesterday", time),
        '","received":"', _timestamps(rows["received"], plan),
        '","type":"', pa.array(TYPES).take(pa.array(rows["kind"])),
        '","item":', pc.if_else(has_item, pc.binary_join_element_wise('"i', item, '"', ""), "null"),
        ',"tags":[', pc.if_else(has_item, both, ""),
        '],"url":"/shop/', item,
        '","ua":"', agents.take(pa.array(agent)),
        '","consent":"', pc.if_else(pa.array(rows["user"] % 100 == 1), "false", "true"), '"}',
    ]  # fmt: skip
    whole = pc.binary_join_element_wise(*parts, "")
    lines = pc.if_else(pa.array(fault == TRUNCATED), pc.utf8_slice_codeunits(whole, 0, 90), whole)
    return pc.binary_join_element_wise(lines, "\n", "")


def _timestamps(milliseconds: NDArray[np.int64], plan: LogPlan) -> pa.StringArray:
    start = np.datetime64(plan.first_day, "ms")
    return pc.strftime(pa.array(start + milliseconds.astype("m8[ms]")), "%Y-%m-%dT%H:%M:%SZ")


def _write(lines: pa.StringArray, file: Path) -> None:
    with pa.OSFile(str(file), "wb") as out:
        for chunk in lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]:
            _, offsets, text = chunk.buffers()
            ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            out.write(text.slice(int(ends[0]), int(ends[-1] - ends[0])))


def _sum_within(values: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return running sums that begin with 0 in each group of consecutive values."""
    total = np.cumsum(values)
    first = np.cumsum(lengths) - lengths
    return total - np.repeat(total[first], lengths)


def _together(parts: list[Rows]) -> Rows:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    for day, file, lines in write_log(LogPlan(arguments.events, arguments.days), arguments.folder):
        print(f"{day}  {lines:>12,} lines  {file}")


if __name__ == "__main__":
    main()
