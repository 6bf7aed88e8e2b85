"""Alerts about failed tasks, late runs and sources that were set aside: a line in the log, and a post to a webhook."""

import asyncio
import logging
import re
from typing import Any

import httpx

from pipeline.errors import MESSAGE_PREFIXES
from pipeline.settings import load_settings

log = logging.getLogger(__name__)
ERROR_MESSAGE = re.compile(rf"^(?:{'|'.join(MESSAGE_PREFIXES)})(.+)", re.MULTILINE | re.DOTALL)

SET_ASIDE = "warning: set aside "  # how a line of `clean` begins that names a source, its day and counts


def task_failed(context: Any) -> None:
    """Send an alert about a task that has failed and is not retried."""
    task = context["ti"]
    run = context["dag_run"]
    failure = str(context.get("exception") or "")
    send_alert(
        {
            "what": "task failed",
            "dag": run.dag_id,
            "run": run.run_id,
            "task": task.task_id,
            "why": error_message_in(failure) or failure or "no reason given; see the log",
            "log": task.log_url,
        }
    )


def sources_set_aside(context: Any, warnings: list[str]) -> None:
    """Send an alert about sources that a night went on without. warnings: the lines by which `clean` says so."""
    run = context["dag_run"]
    what = {"what": "source set aside", "dag": run.dag_id, "run": run.run_id, "log": context["ti"].log_url}
    send_alert({**what, "why": "\n".join(line.removeprefix(SET_ASIDE) for line in warnings)})


async def deadline_missed(context: dict[str, Any]) -> None:
    """Send an alert about a run that has not ended in time. Runs in the triggerer."""
    run = context.get("dag_run") or {}
    run_id = run.get("dag_run_id") or run.get("run_id")
    await asyncio.to_thread(send_alert, {"what": "deadline missed", "dag": run.get("dag_id"), "run": run_id})


def send_alert(message: dict[str, Any]) -> None:
    """Log a message and post it as JSON to the setting `alert_webhook`. A failure to post is logged, not raised."""
    log.error("alert: %s", message)
    webhook = load_settings().alert_webhook
    if webhook is None:
        return
    try:
        httpx.post(webhook.get_secret_value(), json=message, timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        # The error's text may hold the address, which is a secret.
        log.error("the alert could not be posted to the webhook of the settings: %s", type(error).__name__)


def error_message_in(text: str) -> str | None:
    """Return a step's error message from the end of its log, which Airflow's operators quote."""
    found = ERROR_MESSAGE.search(text)
    return found[1].strip() if found else None
