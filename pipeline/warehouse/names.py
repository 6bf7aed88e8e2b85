"""Names of branches, runs and tables that the terminal, the DAGs and the jobs share. Imports no Spark."""

from datetime import date, datetime

from pipeline.errors import UsageError

BRANCH_PREFIX = "night_"
REPLAY_PREFIX = "replay_"
MAIN = "main"

# Written on the branch of a run and published together.
NIGHT_TABLES = (
    "events", "rejects", "items", "item_clusters", "device_users", "sessions", "sequences", "profiles", "runs",
)  # fmt: skip

EVENT_KEY = ("source", "arrival_day", "file", "line", "part")
ITEM_KEY = ("space", "item_id")


def branch_of(day: date) -> str:
    """Return the branch that a run of `day` (of a range: its last day) writes to."""
    return f"{BRANCH_PREFIX}{day:%Y%m%d}"


def default_run_id(day: date) -> str:
    """Return the run id that steps typed one by one in a terminal share."""
    return f"terminal_{day:%Y%m%d}"


def clusters_run_id(through: date) -> str:
    """Return the default run id of a training of item clusters."""
    return f"clusters_{through:%Y%m%d}"


def replay_run_id(source: str, now: datetime) -> str:
    """Return the run id of a replay of rejected lines that the terminal starts."""
    return f"{REPLAY_PREFIX}{source}_{now:%Y%m%dT%H%M%S}"


def is_replay(run_id: str) -> bool:
    """Return whether a run of the terminal is a replay of rejected lines."""
    return run_id.startswith(REPLAY_PREFIX)


def require_run_id(run_id: str) -> str:
    """Return the run id. Raises UsageError if it cannot name a folder."""
    if not run_id.strip(".") or not all(letter.isalnum() or letter in "_.-" for letter in run_id):
        raise UsageError(f"run id {run_id!r}: expected letters, digits and _ . - only, and not . or .. alone")
    return run_id
