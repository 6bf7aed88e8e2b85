"""The tables of `sql/ddl`: their creation, what those of an earlier version lack, and the views beside them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.analyst.dialects import create_statements, fingerprint_of_views
from pipeline.errors import InputError
from pipeline.pseudonyms import require_same_key
from pipeline.settings import ROOT
from pipeline.warehouse.names import EVENT_KEY, ITEM_KEY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DataType, StructType


NAMESPACE = "interest"
KEY_PROPERTY = "throughline.pseudonym-key-fingerprint"
DDL = ROOT / "sql" / "ddl"
KEYS = {"events": EVENT_KEY, "items": ITEM_KEY}  # a row made without such a column cannot be identified by it later


def table(name: str) -> str:
    return f"{NAMESPACE}.{name}"


def ddl_files() -> list[Path]:
    return sorted(DDL.glob("*.sql"))


def create_tables(spark: "SparkSession") -> None:
    """Create the namespace and the missing tables, and add the missing columns to the others. Call it on main.

    Raises InputError if a table has a column with another type than `sql/ddl` declares, or lacks one of its key.
    """
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {NAMESPACE}")
    existing = {row.tableName for row in spark.sql(f"SHOW TABLES IN {NAMESPACE}").collect()}
    for file in ddl_files():
        name = table(file.stem)
        if file.stem not in existing:
            spark.sql(file.read_text(encoding="utf-8"))
        elif not _add_missing_columns(spark, file):
            continue
        # An empty snapshot: the first has a branch to start from, a later one reads with the new columns.
        spark.table(name).limit(0).writeTo(name).append()


def require_key(spark: "SparkSession", fingerprint: str, properties: Mapping[str, str]) -> None:
    """Keep the fingerprint of the pseudonym key with the table of events, on its first use.

    properties: those of the table. Raises InputError if it has the fingerprint of another key, which another home may
    have used.
    """
    kept = properties.get(KEY_PROPERTY)
    if kept is None:
        set_property(spark, KEY_PROPERTY, fingerprint)
    else:
        require_same_key(fingerprint, kept, f"the table {table('events')} of this catalog")


def table_properties(spark: "SparkSession") -> dict[str, str]:
    """Return the properties of the table of events, which keeps what is known of the whole warehouse."""
    rows = spark.sql(f"SHOW TBLPROPERTIES {table('events')}").collect()
    return {row.key: row.value for row in rows}


def set_property(spark: "SparkSession", name: str, value: str) -> None:
    spark.sql(f"ALTER TABLE {table('events')} SET TBLPROPERTIES ('{name}' = '{value}')")


def declared_schema(statement: str) -> "StructType":
    """Return the columns of a CREATE TABLE statement of `sql/ddl`, as Spark's own parser reads them."""
    from pyspark.sql.types import StructType

    columns = re.search(r"CREATE TABLE[^(]*\((.*)\)\s*USING", statement, re.DOTALL)
    assert columns, "a file of sql/ddl is CREATE TABLE name (columns) USING iceberg"
    declared = StructType.fromDDL(columns[1])
    assert isinstance(declared, StructType)
    return declared


def _add_missing_columns(spark: "SparkSession", file: Path) -> bool:
    """Add the declared columns that a table lacks, nullable and in the declared order; return whether any was added."""
    name = table(file.stem)
    declared = declared_schema(file.read_text(encoding="utf-8"))
    missing = list(_missing(declared, spark.table(name).schema, (), file))
    found = set(spark.table(name).columns)
    lacking = [column for column in KEYS.get(file.stem, ()) if column not in found]
    if lacking:
        raise InputError(
            f"table {name} lacks {', '.join(lacking)}: this home was made before ids had id spaces, so its pseudonyms "
            f"differ from new ones. Use the version that made it, or land the logs in a new THROUGHLINE_HOME"
        )
    if missing:
        spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({', '.join(missing)})")
        print(f"table {name}: added {', '.join(column.split(' ', 1)[0] for column in missing)}", flush=True)
    return bool(missing)


def _missing(declared: "DataType", found: "DataType", path: tuple[str, ...], file: Path) -> Iterator[str]:
    """Yield the column definitions that `found` lacks, those inside its structs included."""
    from pyspark.sql.types import ArrayType, MapType, StructField, StructType

    if isinstance(declared, StructType) and isinstance(found, StructType):
        before = "FIRST"
        for field in declared:
            inside = (*path, field.name)
            if field.name in found.names:
                yield from _missing(field.dataType, found[field.name].dataType, inside, file)
            else:
                nullable = StructType([StructField(field.name, field.dataType, True, field.metadata)])
                yield f"{'.'.join((*path, nullable.toDDL()))} {before}"
            before = f"AFTER {field.name}"
    elif isinstance(declared, ArrayType) and isinstance(found, ArrayType):
        yield from _missing(declared.elementType, found.elementType, (*path, "element"), file)
    elif isinstance(declared, MapType) and isinstance(found, MapType):
        yield from _missing(declared.keyType, found.keyType, (*path, "key"), file)
        yield from _missing(declared.valueType, found.valueType, (*path, "value"), file)
    elif declared != found:
        raise InputError(
            f"table {table(file.stem)}: column {'.'.join(path)} is {found.simpleString()}, but {file.name} declares "
            f"{declared.simpleString()}: the type of an existing column cannot change. Was the table made by another "
            f"version? Use that version, or land the logs in a new THROUGHLINE_HOME"
        )


VIEWS_PROPERTY = "throughline.views-fingerprint"


def create_views(spark: "SparkSession", properties: Mapping[str, str], min_audience: int) -> None:
    """Create the views, or replace them where their SQL or the setting min_audience changed since. Call it on main.

    properties: those of the table of events, which keep the fingerprint of the views, so that a night without a change
    sends nothing. If the catalog keeps no views, one line says so, and the night goes on.
    """
    from pyspark.errors import PySparkException

    fingerprint = fingerprint_of_views(min_audience)
    if properties.get(VIEWS_PROPERTY) == fingerprint:
        return
    try:
        for statement in create_statements("spark", min_audience).values():
            spark.sql(statement)
    except PySparkException as error:
        print(
            f"warning: the catalog took no views for Spark SQL: {str(error).splitlines()[0]}. "
            f"`throughline views --dialect spark` prints them; `throughline query` needs none",
            flush=True,
        )
    else:
        set_property(spark, VIEWS_PROPERTY, fingerprint)


ONE_ROW_PROPERTY = "throughline.items-have-one-row"  # of the table of events


def merge_item_copies(spark: "SparkSession", properties: Mapping[str, str]) -> None:
    """Make one row of each item in `items`, once for a warehouse. Call it on main; the next release shows the rows.

    Title and content come from the newest row that has one, tags from the newest row.
    properties: those of the table of events.
    """
    from pyspark.sql import functions as F

    if ONE_ROW_PROPERTY in properties:
        return
    items = spark.table(table("items"))
    seen_at = F.coalesce("last_seen_at", F.timestamp_seconds(F.lit(0)))
    has_content = F.size("content") > 0
    merged = items.groupBy(*ITEM_KEY).agg(
        F.count("*").alias("copies"),
        F.first("item").alias("item"),
        F.max_by("title", F.when(F.col("title").isNotNull(), seen_at)).alias("title"),
        F.max_by("tags", seen_at).alias("tags"),
        F.coalesce(F.max_by("content", F.when(has_content, seen_at)), F.first("content")).alias("content"),
        F.min("first_seen_at").alias("first_seen_at"),
        F.max("last_seen_at").alias("last_seen_at"),
    ).localCheckpoint()  # fmt: skip
    doubled = merged.where("copies > 1").count()
    if doubled:
        merged.select(*items.columns).writeTo(table("items")).overwrite(F.lit(True))
        print(f"table {table('items')}: {doubled:,} items had several rows of an earlier version, now one", flush=True)
    set_property(spark, ONE_ROW_PROPERTY, "true")
