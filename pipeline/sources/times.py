"""The forms in which logs write times: how a form looks, and which Spark SQL expression reads it."""

from dataclasses import dataclass

CLOCK = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
SECONDS = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?"


@dataclass(frozen=True)
class TimeForm:
    """A form of times. pattern: of a whole value. expression: Spark SQL with `{x}` for the value.

    Numbers must also lie between `least` and `most`, the years 1990 to 2099 in their unit.
    """

    name: str
    pattern: str
    expression: str
    least: float | None = None
    most: float | None = None
    note: str = ""


def _epoch(name: str, factor: int) -> TimeForm:
    return TimeForm(name, r"[0-9]+([.][0-9]+)?", "epoch({x})", 631_152_000 * factor, 4_102_444_800 * factor)


NO_ZONE = "has no zone and is read as UTC; for a local time: to_utc_timestamp({expression}, 'Europe/Berlin')"
FORMS = (
    TimeForm(
        "ISO 8601 with zone",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{1,2}:[0-9]{2}:[0-9]{2}([.][0-9]+)? ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)",
        "to_timestamp({x})",
    ),
    TimeForm("ISO 8601", rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{CLOCK}", "to_timestamp({x})", note=NO_ZONE),
    _epoch("epoch seconds", 1),
    _epoch("epoch milliseconds", 10**3),
    _epoch("epoch microseconds", 10**6),
    _epoch("epoch nanoseconds", 10**9),
    TimeForm(
        "web server",
        r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}",
        "to_timestamp({x}, 'dd/MMM/yyyy:HH:mm:ss Z')",
    ),
    TimeForm(
        "yyyy/MM/dd", rf"[0-9]{{4}}/[0-9]{{1,2}}/[0-9]{{1,2}} {SECONDS}", "to_timestamp({x}, 'y/M/d H:mm[:ss]')",
        note=NO_ZONE
    ),
    TimeForm(
        "dd.MM.yyyy", rf"[0-9]{{1,2}}[.][0-9]{{1,2}}[.][0-9]{{4}} {SECONDS}", "to_timestamp({x}, 'd.M.y H:mm[:ss]')",
        note=NO_ZONE
    ),
    TimeForm("day/month/year", rf"[0-9]{{1,2}}/[0-9]{{1,2}}/[0-9]{{4}},? {SECONDS}( ?[AaPp][Mm])?", "", note=NO_ZONE),
    TimeForm("RFC 1123", rf"[A-Z][a-z]{{2}}, [0-9]{{1,2}} [A-Z][a-z]{{2}} [0-9]{{4}} {SECONDS} (GMT|UTC)",
             "to_timestamp(split_part({x}, ', ', 2), 'd MMM y H:mm[:ss] z')"),
    TimeForm("RFC 2822", rf"[A-Z][a-z]{{2}}, [0-9]{{1,2}} [A-Z][a-z]{{2}} [0-9]{{4}} {SECONDS} [+-][0-9]{{4}}",
             "to_timestamp(split_part({x}, ', ', 2), 'd MMM y H:mm[:ss] xx')"),
    TimeForm("month by name", rf"[A-Z][a-z]{{2}} [0-9]{{1,2}},? [0-9]{{4}},? {SECONDS}",
             "to_timestamp({x}, 'MMM d[,] y[,] H:mm[:ss]')", note=NO_ZONE),
    TimeForm("month by name, AM or PM", rf"[A-Z][a-z]{{2}} [0-9]{{1,2}},? [0-9]{{4}},? {SECONDS} ?[AaPp][Mm]",
             "to_timestamp({x}, 'MMM d[,] y[,] h:mm[:ss][ ]a')", note=NO_ZONE),
    TimeForm("yyyyMMddHHmmss", r"(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9][0-2][0-9][0-5][0-9][0-5][0-9]",
             "to_timestamp({x}, 'yyyyMMddHHmmss')", note=NO_ZONE),
    TimeForm("a day without a time", r"[0-9]{4}-[0-9]{2}-[0-9]{2}|(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9]", ""),
    TimeForm("a time without a day", CLOCK, ""),
)  # fmt: skip
BY_NAME = {form.name: form for form in FORMS}
AMBIGUOUS, DAY, TIME_OF_DAY = (
    BY_NAME[name] for name in ("day/month/year", "a day without a time", "a time without a day")
)
DAY_FIRST, MONTH_FIRST = "to_timestamp({x}, 'd/M/y[,] H:mm[:ss]')", "to_timestamp({x}, 'M/d/y[,] H:mm[:ss]')"
COMPACT_DAY, CLOCK_OF_DAY = "yyyyMMdd", "H:mm[:ss][.SSS]"
TWELVE_HOURS = ("H:mm[:ss]", "h:mm[:ss][ ]a")  # the pattern of a clock, and the same with AM or PM


def condition(form: TimeForm, value: str) -> str:
    """Return the DuckDB condition that a text value has this form."""
    matches = f"regexp_full_match({value}, '{form.pattern}')"
    if form.least is None:
        return matches
    return f"({matches} AND try_cast({value} AS DOUBLE) BETWEEN {form.least} AND {form.most})"
