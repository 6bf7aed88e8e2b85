"""Which day a run is about, and how its id reaches the command line."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.days import parse_day
from pipeline.errors import UsageError


def resolve_day(dag_run: Any, params: Mapping[str, Any]) -> date:
    """Return the day (UTC) of a run: the param `day`, else the first day of its data interval.

    Never Airflow's `ds`: it is the day after for a run by hand, and absent for one without a logical date.

    Raises UsageError if there is neither, or if the runs of a backfill were all given one `day`.
    """
    interval_start: datetime | None = dag_run.data_interval_start
    own = interval_start.astimezone(UTC).date() if interval_start else None
    if params.get("day"):
        day = parse_day(str(params["day"]))
        if own and own != day and dag_run.run_type == "backfill":
            raise UsageError(
                f"the backfill gave this run of {own} the day {day}: expected none, since each run of a backfill "
                f"takes its day from its interval; start the backfill again with an empty `day`"
            )
        return day
    if own is None:
        raise UsageError(
            f"which day? Run {dag_run.run_id} has neither the param `day` nor a data interval: "
            f"trigger it with a `day` such as 2026-01-31, or with a logical date"
        )
    return own


def resolve_last_day(dag_run: Any, params: Mapping[str, Any]) -> date:
    """Return the last day (UTC) that training may know: the param `through`, else the last whole day of the interval.

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


def step_run_id(dag_run: Any) -> str:
    """Return the run's id in the letters that steps take; clearing a run keeps it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", str(dag_run.run_id))
