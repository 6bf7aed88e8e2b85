"""When a task fails for good or a run is late: a line in the log, and a post to a webhook if one is set."""

import asyncio
import logging
from typing import Any

import httpx

from orchestration.retries import reason_in
from pipeline.settings import load_settings

log = logging.getLogger(__name__)


def task_failed(context: Any) -> None:
    """Tell that a task has failed and is not tried again."""
    task = context["ti"]
    run = context["dag_run"]
    failure = str(context.get("exception") or "")
    tell(
        {
            "what": "task failed",
            "dag": run.dag_id,
            "run": run.run_id,
            "task": task.task_id,
            "why": reason_in(failure) or failure or "no reason told; see the log",
            "log": task.log_url,
        }
    )


async def deadline_missed(context: dict[str, Any]) -> None:
    """Tell that a run has not ended in time. Runs in the triggerer."""
    run = context.get("dag_run") or {}
    told = {"what": "deadline missed", "dag": run.get("dag_id"), "run": run.get("dag_run_id") or run.get("run_id")}
    await asyncio.to_thread(tell, told)


def tell(message: dict[str, Any]) -> None:
    """Log a message, and post it as JSON to the setting `alert_webhook`; that it cannot be posted fails nothing."""
    log.error("alert: %s", message)
    webhook = load_settings().alert_webhook
    if webhook is None:
        return
    try:
        httpx.post(webhook.get_secret_value(), json=message, timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        log.error("the alert could not be posted to the webhook of the settings: %s", type(error).__name__)
