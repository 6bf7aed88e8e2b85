"""Operators that wait for the day's log and for the warehouse lease, without keeping a slot.

One night writes at a time. `max_active_runs` does not bind backfills, and a task that waits in a pool keeps the slot
that the night before it needs. So a task that has to wait gives its slot back and waits in the triggerer.
"""

import asyncio
import os
import shlex
import signal
import subprocess
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink, conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from orchestration.alerts import SET_ASIDE, sources_set_aside
from orchestration.days import lease_day, resolve_day, step_run_id
from pipeline.local.processes import ends_with_parent
from pipeline.settings import load_settings
from pipeline.warehouse.lease import Lease

WAIT_SECONDS = 2 * 3600.0
QUOTED_LINES = 30


class LandingTrigger(BaseTrigger):
    """Fires when all awaited sources have landed, or at the time `until` (seconds since 1970)."""

    def __init__(self, day: str, until: float, poll_seconds: float = 30.0) -> None:
        super().__init__()
        self.day = day
        self.until = until
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments from which the triggerer makes the trigger."""
        arguments = {"day": self.day, "until": self.until, "poll_seconds": self.poll_seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the landing zone. The event carries nothing, since the task looks at the landing zone again."""
        while time.time() < self.until and (await asyncio.to_thread(_landing_of, self.day)).awaited:
            await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent({})


class WaitForLanding(BaseOperator):
    """Wait up to two hours for the day's log.

    A scheduled night waits until each source that landed anything in the seven days before has closed this day or a
    later one. If no source landed anything then, the night is skipped. A night by hand or of a backfill does not wait:
    it fails at once if the day has not landed.
    """

    def execute(self, context: Any, event: Any = None) -> None:
        """Return when the day can be cleaned."""
        run = context["dag_run"]
        day = resolve_day(run, context["params"])
        landing = _landing_of(day.isoformat())
        if run.run_type != "scheduled":
            if not landing.has_landed:
                raise AirflowFailException(landing.message)
            self.log.info(landing.message)
        elif landing.has_ended:
            raise AirflowSkipException(landing.message)
        elif landing.awaited and event is None:
            self.log.info("%s; waiting up to %.0f minutes", landing.message, WAIT_SECONDS / 60)
            trigger = LandingTrigger(day.isoformat(), time.time() + WAIT_SECONDS)
            self.defer(trigger=trigger, method_name="execute", timeout=WAIT_SECONDS + 600)
        elif landing.awaited:
            raise AirflowFailException(f"{landing.message}; waited for {WAIT_SECONDS / 60:.0f} minutes")
        else:
            self.log.info(landing.message)


def _landing_of(day: str) -> Any:
    # Imported here: it brings pyarrow, which is too heavy for a file that Airflow parses often.
    from pipeline.landing.status import look_for
    from pipeline.landing.zone import LandingZone

    zone = LandingZone(load_settings().landing_folder)
    return look_for(date.fromisoformat(day), {source: zone.days(source) for source in zone.sources()})


def lease_of(context: Any) -> Lease:
    """Return the lease as the run of a task sees it."""
    run = context["dag_run"]
    return Lease(load_settings(), step_run_id(run), lease_day(run, context["params"]))


def free_lease(context: Any) -> None:
    """Free the lease of a failed night; the lease of another run stays."""
    lease_of(context).free()


class LeaseTrigger(BaseTrigger):
    """Fires when it has taken the lease for a run."""

    def __init__(self, run_id: str, day: str, poll_seconds: float = 5.0) -> None:
        super().__init__()
        self.run_id = run_id
        self.day = day
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments from which the triggerer makes the trigger."""
        arguments = {"run_id": self.run_id, "day": self.day, "poll_seconds": self.poll_seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Try to take the lease until it is free, and log which run holds it."""
        lease = await asyncio.to_thread(Lease, load_settings(), self.run_id, date.fromisoformat(self.day))
        logged_run_id = ""
        while holder := await asyncio.to_thread(lease.try_take):
            if holder.run_id != logged_run_id:
                self.log.info("waiting for %s: one night writes at a time", holder)
                logged_run_id = holder.run_id
            await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent({"run_id": self.run_id})


class UnderLease(BaseOperator):
    """Takes the lease for its run, or waits for it in the triggerer; renews it during the work."""

    def execute(self, context: Any, event: Any = None) -> Any:
        """Run the next operator in the method resolution order under the lease."""
        lease = lease_of(context)
        if holder := lease.try_take():
            self.log.info("waiting for %s: one night writes at a time; the slot is free meanwhile", holder)
            trigger = LeaseTrigger(lease.run_id, lease.day.isoformat())
            self.defer(trigger=trigger, method_name="execute", timeout=float(load_settings().lease_wait_seconds))
        with lease.renewed():
            return super().execute(context)


class Command(BaseOperator):
    """Runs a command line in a process group of its own. Its output goes to the task's log. It sends an alert if the
    command has set a source aside.

    Unlike with Airflow's BashOperator, the failure quotes the end of the output, which the alert and the retry policy
    need.
    """

    template_fields = ("command",)

    def __init__(self, command: Sequence[str], part: Sequence[str] = (), **options: Any) -> None:
        """command: words, each a template; empty ones are left out. part: words of a mapped task, not rendered."""
        super().__init__(**options)
        self.command = list(command)
        self.part = list(part)

    def execute(self, context: Any) -> None:
        """Run the command to its end. Raises AirflowException with the exit code and the last lines of the output."""
        words = [word for word in (*self.command, *self.part) if word]
        self.log.info("running: %s", shlex.join(words))
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=ends_with_parent(),
        )
        assert self._process.stdout is not None
        last_lines: deque[str] = deque(maxlen=QUOTED_LINES)
        set_aside = []
        for line in map(str.rstrip, self._process.stdout):
            self.log.info("%s", line)
            last_lines.append(line)
            if line.startswith(SET_ASIDE):
                set_aside.append(line)
        if exit_code := self._process.wait():
            quoted = "\n".join(last_lines)
            raise AirflowException(f"{words[0]} ended with exit code {exit_code}. Its last lines:\n{quoted}")
        if set_aside:
            sources_set_aside(context, set_aside)

    def on_kill(self) -> None:
        """Stop the command when the task is stopped."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    _process: "subprocess.Popen[str] | None" = None


class StepCommand(UnderLease, Command):
    """A task that writes to the warehouse: of a night, or a replay."""


class ReportLink(BaseOperatorLink):
    """Leads from a task to the report of its night, which `dags/plugins/reports.py` serves."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address, by the day in the command of the task."""
        day = operator.command[operator.command.index("--day") + 1]
        return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/reports/{day}.html"


class PublishCommand(StepCommand):
    """The task that publishes a night and writes its report."""

    operator_extra_links = (ReportLink(),)
