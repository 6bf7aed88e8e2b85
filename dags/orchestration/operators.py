"""Waits until a day's log has landed, without keeping a slot meanwhile (DESIGN.md 5.6).

Operators that work under the warehouse lease: one night writes at a time (DESIGN.md 5.5.8).

`max_active_runs` does not bind backfills, and a task that waited inside a pool would keep the slot which the night
before it needs. So a step that finds the lease taken gives its slot back and waits in the triggerer.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from orchestration.days import resolve_day, step_run_id
from pipeline.settings import load_settings
from pipeline.warehouse.lease import Lease

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
    from pipeline.landing.status import look_for
    from pipeline.landing.zone import LandingZone
    from pipeline.settings import load_settings

    zone = LandingZone(load_settings().home / "landing")
    return look_for(date.fromisoformat(day), {source: zone.days(source) for source in zone.sources()})


def lease_of(context: Any) -> Lease:
    """Return the lease as the run of a task sees it."""
    run = context["dag_run"]
    return Lease(load_settings(), step_run_id(run), resolve_day(run, context["params"]))


def free_lease(context: Any) -> None:
    """Free the lease of a night that has failed for good; another run's lease stays."""
    lease_of(context).free()


class LeaseTrigger(BaseTrigger):
    """Waits in the triggerer until it has taken the lease for a run."""

    def __init__(self, run_id: str, day: str, poll_seconds: float = 5.0) -> None:
        super().__init__()
        self.run_id = run_id
        self.day = day
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes it from."""
        values = {"run_id": self.run_id, "day": self.day, "poll_seconds": self.poll_seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", values

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once the lease is this run's; say for whom it waits."""
        lease = await asyncio.to_thread(Lease, load_settings(), self.run_id, date.fromisoformat(self.day))
        told = ""
        while holder := await asyncio.to_thread(lease.try_take):
            if holder.run_id != told:
                self.log.info("waiting for %s: one night writes at a time", holder)
                told = holder.run_id
            await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent({"run_id": self.run_id})


class UnderLease(BaseOperator):
    """Takes the lease for its run, or waits for it in the triggerer; renews it while it works."""

    def execute(self, context: Any, event: Any = None) -> Any:
        """Do the work of the operator that follows in the order of classes."""
        lease = lease_of(context)
        if holder := lease.try_take():
            self.log.info("waiting for %s: one night writes at a time; the slot is free meanwhile", holder)
            trigger = LeaseTrigger(lease.run_id, lease.day.isoformat())
            self.defer(trigger=trigger, method_name="execute", timeout=float(load_settings().lease_wait_seconds))
        with lease.renewed():
            return super().execute(context)


class SparkStep(UnderLease, SparkSubmitOperator):
    """A Spark step of a night."""


class CommandStep(UnderLease, BashOperator):
    """A step of a night that is no Spark job."""
