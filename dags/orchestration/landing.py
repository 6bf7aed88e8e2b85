"""Waits until a day's log has landed, without keeping a slot meanwhile (DESIGN.md 5.6)."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from orchestration.days import resolve_day

WAIT_SECONDS = 2 * 3600.0


class LandingTrigger(BaseTrigger):
    """Fires when the awaited sources have landed, or when it is too late."""

    def __init__(self, day: str, until: float, poll_seconds: float = 30.0) -> None:
        super().__init__()
        self.day = day
        self.until = until
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes it from."""
        values = {"day": self.day, "until": self.until, "poll_seconds": self.poll_seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", values

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every so often; the event is only a wake-up, since the task looks again."""
        while time.time() < self.until and (await asyncio.to_thread(_look, self.day)).awaited:
            await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent({})


class WaitForLanding(BaseOperator):
    """Wait up to two hours for the day's log.

    A scheduled night waits until every source that landed anything in the seven days before has closed the day (or a
    later one). If no source has, it is skipped: nobody is landing. A night by hand or by backfill does not wait: a day
    that has not landed fails at once.
    """

    def execute(self, context: Any, event: Any = None) -> None:
        """Return when the day can be cleaned."""
        run = context["dag_run"]
        day = resolve_day(run, context["params"])
        look = _look(day.isoformat())
        if run.run_type != "scheduled":
            if not look.has_landed:
                raise AirflowFailException(look.message)
            self.log.info(look.message)
        elif look.has_ended:
            raise AirflowSkipException(look.message)
        elif look.awaited and event is None:
            self.log.info("%s; waiting up to %.0f minutes", look.message, WAIT_SECONDS / 60)
            trigger = LandingTrigger(day.isoformat(), time.time() + WAIT_SECONDS)
            self.defer(trigger=trigger, method_name="execute", timeout=WAIT_SECONDS + 600)
        elif look.awaited:
            raise AirflowFailException(f"{look.message}; waited for {WAIT_SECONDS / 60:.0f} minutes")
        else:
            self.log.info(look.message)


def _look(day: str) -> Any:
    # Not above: it brings pyarrow, which is too heavy for a file that Airflow parses all the time.
    from pipeline.landing import LandingZone
    from pipeline.landing_watch import look_for
    from pipeline.settings import load_settings

    zone = LandingZone(load_settings().home / "landing")
    return look_for(date.fromisoformat(day), {source: zone.days(source) for source in zone.sources()})
