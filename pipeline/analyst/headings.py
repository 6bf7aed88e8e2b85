"""Headings over tables. Rich would fold a table's own title to the width of the table."""

from rich.console import Group
from rich.table import Table
from rich.text import Text


def under(heading: str, table: Table) -> Group:
    return Group(Text(heading, style="bold"), table)
