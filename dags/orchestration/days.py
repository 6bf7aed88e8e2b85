"""The day of a run, and the run's id, as command lines take them."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.days import parse_day
from pipeline.errors import UsageError


def resolve_day(dag_run: Any, params: Mapping[str, Any]) -> date:
    """Return the day (UTC) of a run: the param `day`, else the first day of its data interval.

    Airflow's `ds` will not do: a run by hand has the day after, and a run without a logical date has none.

    Raises UsageError if there is neither, or if all runs of a backfill got the same `day`.
    """
    interval_start: datetime | None = dag_run.data_interval_start
    interval_day = interval_start.astimezone(UTC).date() if interval_start else None
    if params.get("day"):
        day = parse_day(str(params["day"]))
        if interval_day and interval_day != day and dag_run.run_type == "backfill":
            raise UsageError(
                f"the backfill gave this run of {interval_day} the day {day}: expected none, since each run of a "
                f"backfill takes its day from its interval; start the backfill again with an empty `day`"
            )
        return day
    if interval_day is None:
        raise UsageError(
            f"which day? Run {dag_run.run_id} has neither the param `day` nor a data interval: "
            f"trigger it with a `day` such as 2026-01-31, or with a logical date"
        )
    return interval_day


def resolve_last_day(dag_run: Any, params: Mapping[str, Any]) -> date:
    """Return the last day (UTC) of the training data: the param `through`, else the last whole day of the interval.

    Raises UsageError if there is neither.
    """
    if params.get("through"):
        return parse_day(str(params["through"]))
    interval_end: datetime | None = dag_run.data_interval_end
    if interval_end is None:
        raise UsageError(
            f"through which day? Run {dag_run.run_id} has neither the param `through` nor a data interval: "
            f"trigger it with a `through` such as 2026-01-31, or with a logical date"
        )
    return interval_end.astimezone(UTC).date() - timedelta(days=1)


def lease_day(dag_run: Any, params: Mapping[str, Any]) -> date:
    """Return the day that the lease shows for a run: the day of a night; the date of a run that is no night."""
    if "day" in params:
        return resolve_day(dag_run, params)
    return (dag_run.run_after or datetime.now(UTC)).astimezone(UTC).date()


def step_run_id(dag_run: Any) -> str:
    """Return the run's id in the characters that steps accept. A cleared run keeps its id."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", str(dag_run.run_id))
