"""Drop or move a landed day of a source, which a broken clock or a wrong file made."""

from collections.abc import Iterable
from datetime import date

from pipeline.days import format_days
from pipeline.errors import InputError
from pipeline.landing.zone import LandedDay, LandingZone
from throughline.stores import make_folder, move


def drop_day(zone: LandingZone, source: str, day: date) -> LandedDay:
    """Delete the landed lines of a day, and close it as empty; return the day as it was.

    Raises InputError as `landed_day` does.
    """
    dropped = landed_day(zone, source, day)
    for file in zone.day_files(source, day):
        file.unlink()
    zone.close_day(source, day)
    return dropped


def move_day(zone: LandingZone, source: str, day: date, to: date) -> LandedDay:
    """Move the landed lines of a day to another arrival day, and close both; return the day as it was.

    Raises InputError as `landed_day` does, or if both days are one.
    """
    if day == to:
        raise InputError(f"{day} is the day that its lines have: expected another one")
    moved = landed_day(zone, source, day)
    folder = zone.day_folder(source, to)
    make_folder(folder)
    for file in zone.day_files(source, day):
        # A file of one landing has one name on each of its days.
        move(file, folder / f"{file.stem}-of-{day}{file.suffix}")
    zone.close_day(source, to)
    zone.close_day(source, day)
    return moved


def landed_day(zone: LandingZone, source: str, day: date) -> LandedDay:
    """Return a landed day that has lines.

    Raises InputError, naming those there are, if the source or the day has not landed.
    """
    sources = [file.parent.name for file in zone.source_files()]
    if source not in sources:
        raise InputError(f"no source {source!r} has landed: landed are {', '.join(sources) or 'none'}")
    days = {one: found for one, found in zone.days(source).items() if found.lines}
    if day not in days:
        raise InputError(f"no lines of {source} have landed on {day}: they have on {_in_words(days) or 'no day'}")
    return days[day]


def _in_words(days: Iterable[date]) -> str:
    return format_days(sorted(days))
