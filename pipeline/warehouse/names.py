"""Names that the terminal, the orchestrator and the jobs agree on, without importing Spark."""

from datetime import date

from pipeline.errors import UsageError

BRANCH_PREFIX = "night_"


def branch_of(day: date) -> str:
    """Return the branch on which the night of `day` (a range: its last day) works."""
    return f"{BRANCH_PREFIX}{day:%Y%m%d}"


def default_run_id(day: date) -> str:
    """Return the run id under which steps typed one by one in a terminal find each other."""
    return f"terminal_{day:%Y%m%d}"


def clusters_run_id(through: date) -> str:
    """Return the run id under which item clusters are trained, by default."""
    return f"clusters_{through:%Y%m%d}"


def require_run_id(run_id: str) -> str:
    """Return a run id that can name a folder. Raises UsageError saying what it may be made of."""
    if not run_id or not all(letter.isalnum() or letter in "_.-" for letter in run_id):
        raise UsageError(f"run id {run_id!r}: expected letters, digits and _ . - only")
    return run_id
