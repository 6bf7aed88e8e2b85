"""From events to lines, with noise: wrong clocks, phones that were offline, copies, and invalid lines."""

from dataclasses import dataclass, fields

import numpy as np

from pipeline.demo.plan import DAY_MS, HOUR_MS, SECOND_MS, DemoPlan, Flags, Ints
from pipeline.demo.visits import VIEW, Touches

# The fault of a line.
SOUND, BROKEN, OWNERLESS, BAD_TIME, UNKNOWN_TYPE = range(5)
FAULT_SHARES = {BROKEN: 0.003, OWNERLESS: 0.002, BAD_TIME: 0.002, UNKNOWN_TYPE: 0.002}

# Which copy of its event a line is.
ORIGINAL, EXACT, RESENT, RICHER = range(4)
COPY_SHARES = {EXACT: 0.005, RESENT: 0.006, RICHER: 0.006}

SKEWED_SHARE = 0.04  # of devices
SKEW_MS = 5.0 * HOUR_MS  # standard deviation
OFFLINE_SHARE = 0.015  # of visits; all their events are sent together, once the phone is back
LONGEST_OFFLINE_MS = 5 * DAY_MS - 12 * HOUR_MS  # since the end of the visit; no event is five days late
LONGEST_RESEND_MS = 5 * DAY_MS
BEFORE_LOGIN_SHARE, MOST_EVENTS_BEFORE_LOGIN = 0.08, 3  # of visits


@dataclass(frozen=True)
class Lines:
    """One entry per line, in the order in which the collector writes.

    event: index into Touches. created_ms, sent_ms: by the device's clock. received_ms: by the collector's clock.
    has_dwell: false on an original that a richer copy follows. fault: SOUND to UNKNOWN_TYPE. copy: ORIGINAL to RICHER.
    """

    event: Ints
    created_ms: Ints
    sent_ms: Ints
    received_ms: Ints
    has_dwell: Flags
    fault: Ints
    copy: Ints

    def __len__(self) -> int:
        return len(self.event)

    @property
    def happened_ms(self) -> Ints:
        """Return when each event happened, by its line: received - (sent - created)."""
        return self.received_ms - (self.sent_ms - self.created_ms)

    def take(self, chosen: Flags | Ints) -> "Lines":
        """Return the chosen lines, in the order chosen."""
        return Lines(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def delayed(self, by_ms: Ints, copy: int) -> "Lines":
        """Return copies that were sent and received later; the time of the event stays the same."""
        return Lines(
            event=self.event,
            created_ms=self.created_ms,
            sent_ms=self.sent_ms + by_ms,
            received_ms=self.received_ms + by_ms,
            has_dwell=np.ones(len(self), dtype=np.bool_),
            fault=self.fault,
            copy=np.full(len(self), copy),
        )


def make_skew_ms(plan: DemoPlan, devices: int) -> Ints:
    """Return by how much each device's clock is ahead, in milliseconds: 0 for most, hours for some."""
    rng = plan.rng("skew")
    return np.where(rng.random(devices) < SKEWED_SHARE, rng.normal(0, SKEW_MS, devices), 0).astype(np.int64)


def events_before_login(plan: DemoPlan, touches: Touches, people: int) -> Flags:
    """Return for each event whether it came before log-in: the first few events of some visits."""
    rng = plan.rng("log-in")
    visits = int(touches.visit.max()) + 1
    most = np.where(rng.random(visits) < BEFORE_LOGIN_SHARE, rng.integers(1, MOST_EVENTS_BEFORE_LOGIN + 1, visits), 0)
    return (touches.place < most[touches.visit]) & (touches.actor < people)


def make_lines(plan: DemoPlan, touches: Touches, skew_ms: Ints, people: int) -> Lines:
    """Return all lines that the collector receives by the end of the last day.

    skew_ms: per event, by how much its device's clock is ahead.
    """
    rng = plan.rng("dirt")  # the name of the purpose seeds the generator, so it stays
    events = len(touches)
    sent_ms = _sent_ms(rng, touches, people)
    delay_ms = rng.integers(30, 2 * SECOND_MS, events)
    fault = rng.choice(5, size=events, p=[1 - sum(FAULT_SHARES.values()), *FAULT_SHARES.values()]).astype(np.int64)
    copied = rng.choice(4, size=events, p=[1 - sum(COPY_SHARES.values()), *COPY_SHARES.values()])
    copied[fault != SOUND] = ORIGINAL
    copied[(copied == RICHER) & (touches.kind != VIEW)] = ORIGINAL
    originals = Lines(
        event=np.arange(events),
        created_ms=touches.at_ms + skew_ms,
        sent_ms=sent_ms + skew_ms,
        received_ms=sent_ms + delay_ms,
        has_dwell=copied != RICHER,
        fault=fault,
        copy=np.full(events, ORIGINAL),
    )
    exact = originals.take(copied == EXACT).delayed(np.zeros(int((copied == EXACT).sum()), dtype=np.int64), EXACT)
    resent = originals.take(copied == RESENT)
    resent = resent.delayed(rng.integers(SECOND_MS, LONGEST_RESEND_MS, len(resent)), RESENT)
    richer = originals.take(copied == RICHER)
    richer = richer.delayed(rng.integers(5 * SECOND_MS, 300 * SECOND_MS, len(richer)), RICHER)

    lines = _join(originals, exact, resent, richer)
    received = lines.take(lines.received_ms < plan.end_ms)
    return received.take(np.lexsort((received.copy, received.event, received.received_ms)))


def _sent_ms(rng: np.random.Generator, touches: Touches, people: int) -> Ints:
    """Return when each event was sent, by a correct clock: at once, or when the phone was online again."""
    visits = int(touches.visit.max()) + 1
    ended_ms = np.zeros(visits, dtype=np.int64)
    np.maximum.at(ended_ms, touches.visit, touches.at_ms)
    back_ms = ended_ms + rng.integers(2 * HOUR_MS, LONGEST_OFFLINE_MS, visits)
    is_offline = (rng.random(visits) < OFFLINE_SHARE)[touches.visit] & (touches.actor < people)
    at_once_ms = touches.at_ms + rng.integers(50, SECOND_MS, len(touches))
    together_ms = back_ms[touches.visit] + 20 * touches.place
    return np.where(is_offline, together_ms, at_once_ms)


def _join(*parts: Lines) -> Lines:
    return Lines(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Lines)}
    )
