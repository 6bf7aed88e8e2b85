"""The lines as text."""

import json
from collections.abc import Iterator

import numpy as np

from pipeline.demo.catalogue import QUERIES, TAGS, item_name
from pipeline.demo.log import DemoLog
from pipeline.demo.noise import BAD_TIME, BROKEN, OWNERLESS, UNKNOWN_TYPE
from pipeline.demo.plan import Ints
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
