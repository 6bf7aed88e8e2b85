"""Operators that work under the warehouse lease: one night writes at a time (DESIGN.md 5.5.8).

`max_active_runs` does not bind backfills, and a task that waited inside a pool would keep the slot which the night
before it needs. So a step that finds the lease taken gives its slot back and waits in the triggerer.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from orchestration.days import resolve_day, step_run_id
from pipeline.settings import load_settings
from pipeline.warehouse.lease import Lease


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
