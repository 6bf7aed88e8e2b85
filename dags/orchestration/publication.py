"""The tables as assets: what a publication tells whoever waits for them."""

from typing import Any

from airflow.sdk import Asset

TABLES = ("device_users", "events", "item_clusters", "items", "profiles", "rejects", "sequences", "sessions")
ASSETS = [Asset(name=f"interest.{name}", uri=f"throughline://interest/{name}", group="interest") for name in TABLES]


def emit_publication(context: Any, result: Any = None) -> None:
    """Write the day, and each table's snapshot id and number of rows, into the asset events of the publishing task."""
    # Not above: PyIceberg is too heavy for a file that Airflow parses all the time.
    from orchestration.days import resolve_day
    from pipeline.analyst.release import newest_release, open_catalog, row_count

    catalog = open_catalog()
    release = newest_release(catalog, resolve_day(context["dag_run"], context["params"]))
    for asset in ASSETS:
        name = asset.name.removeprefix("interest.")
        context["outlet_events"][asset].extra = {
            "as_of": release.as_of.isoformat(),
            "run_id": release.run_id,
            "snapshot_id": str(release.snapshots[name]),  # text: the browser's numbers are too short for it
            "rows": row_count(catalog, release, name),
        }
