"""Text of logs made safe to show: control characters for a terminal, formulas for a spreadsheet.

HTML pages are made by templates that escape each value.
"""

import re

FORMULA = re.compile(r"[=+\-@\t\n\uFF1D\uFF0B\uFF0D\uFF20]")  # what a spreadsheet may begin a formula with
NUMBER = re.compile(r"[+-]?(\d+([.]\d*)?|[.]\d+)([eE][+-]?\d+)?")


def printable(text: str, limit: int = 1_000, keep: str = "") -> str:
    r"""Return the first `limit` characters of a text, its control characters written as \x1b.

    Those that change the direction of text count as such. keep: control characters to leave as they are.
    """
    escaped = "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text[:limit]
    )
    return f"{escaped}…" if len(text) > limit else escaped


def printable_lines(text: str) -> str:
    """Return a whole text of several lines with its other control characters escaped."""
    return printable(text, len(text), keep="\n\t")


def for_spreadsheet(text: str) -> str:
    """Return a text that no spreadsheet computes: a formula gets a leading ', and control characters are escaped.

    Numbers stay as they are. https://owasp.org/www-community/attacks/CSV_Injection
    """
    escaped = printable(text, len(text), keep="\n\t")
    is_formula = FORMULA.match(escaped) and not NUMBER.fullmatch(escaped)
    return f"'{escaped}" if is_formula else escaped
