"""`throughline landed`: list the landed days of a source, and drop or move one, while no night reads them."""

from datetime import date

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.landing.landed_days import drop_day, move_day
from pipeline.landing.locks import source_locked
from pipeline.landing.log_days import plausible_days
from pipeline.landing.zone import LandingZone
from pipeline.runner.run import prepare_environment
from pipeline.settings import load_settings
from pipeline.warehouse.lease import lease_held


def print_days(console: Console) -> None:
    """Print the landed days of all sources, oldest first, and which lie far from all others."""
    zone = LandingZone(load_settings().landing_folder)
    days = [day for file in zone.source_files() for day in zone.days(file.parent.name).values()]
    if not days:
        console.print("nothing has landed yet")
        return
    limits = plausible_days(days)
    shown = Table("day", "source", "lines", "")
    for one in sorted(days, key=lambda day: (day.day, day.source)):
        is_stray = one.lines and not limits.earliest <= one.day <= limits.latest
        shown.add_row(str(one.day), Text(one.source), f"{one.lines:,}", "far from all others" if is_stray else "")
    console.print(shown)


def change_day(source: str, day: date, to: date | None, console: Console) -> None:
    """Move the lines of a landed day to another day, or drop them (`to` is None), under the lease.

    Raises InputError if the source or the day has not landed.
    """
    settings = prepare_environment(console)
    zone = LandingZone(settings.landing_folder)
    # The lease before the lock, as a backup does: else each would wait for the other.
    with lease_held(settings, f"landed_{source}", day), source_locked(settings, source):
        changed = move_day(zone, source, day, to) if to else drop_day(zone, source, day)
    what = f"moved {changed.lines:,} lines of {source} from {day} to {to}" if to else (
        f"dropped {changed.lines:,} lines of {source} of {day}; to undo it, land their files with --again"
    )  # fmt: skip
    console.print(f"{what}\nThe next night cleans the day again, if it was cleaned before", soft_wrap=True)
