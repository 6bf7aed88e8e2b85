"""Which tables and columns a piece of SQL names, so that only those are read."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb


@dataclass(frozen=True)
class Named:
    """What a statement names, in lower case.

    columns: None where it may need columns that it does not name, such as by `*`.
    """

    tables: frozenset[str]
    columns: frozenset[str] | None


def names_in(sql: str) -> Named:
    """Return the tables and columns that a statement may read: rather too many than too few.

    DuckDB's own `get_table_names` binds the statement, which fails on USING and UNNEST while the tables are not there.
    """
    words = frozenset(re.findall(r"\w+", sql.lower()))
    with duckdb.connect() as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:  # DuckDB can take apart SELECT only, not PIVOT
        return Named(words, None)
    nodes = list(_nodes(tree))
    relations = {node["table_name"].lower() for node in nodes if node.get("type") == "BASE_TABLE"}
    aliases = {str(node.get("alias", "")).lower() for node in nodes if "sample" in node}
    is_open = any(_needs_unnamed_columns(node, relations | aliases) for node in nodes)
    return Named(frozenset(relations), None if is_open else words)


def _needs_unnamed_columns(node: dict[str, Any], relations: set[str]) -> bool:
    is_whole_row = node.get("class") == "COLUMN_REF" and node["column_names"][-1].lower() in relations
    is_by_position = node.get("class") == "POSITIONAL_REFERENCE" or bool(node.get("column_name_alias"))
    return node.get("class") == "STAR" or node.get("ref_type") == "NATURAL" or is_whole_row or is_by_position


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for branch in tree.values():
            yield from _nodes(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from _nodes(branch)
