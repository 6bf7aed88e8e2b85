"""The own clock of a step: its seconds in the table `runs`, which start once Spark and the branch exist."""

from datetime import date

from pipeline.local.spark_config import CATALOG, pyiceberg_properties
from pipeline.settings import Settings
from pipeline.warehouse.names import branch_of


def own_seconds(settings: Settings, step: str, day: date) -> float:
    """Return the seconds of a step of the night of a day, which is not published yet."""
    from pyiceberg.catalog import load_catalog

    runs = load_catalog(CATALOG, **pyiceberg_properties(settings)).load_table("interest.runs")
    snapshot = runs.snapshot_by_name(branch_of(day))
    assert snapshot is not None, f"no branch {branch_of(day)} of runs"
    rows = runs.scan(row_filter=f"step = '{step}'", snapshot_id=snapshot.snapshot_id).to_arrow().to_pylist()
    return float(max(rows, key=lambda row: row["day"])["seconds"])
