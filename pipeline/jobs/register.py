"""Register the tables of a restored home in its catalog, and create its views.

python -m pipeline.jobs register --backup FOLDER

Their files must be in the warehouse, with metadata that name this place. A table that is there is left as it is.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.backup.make import read_backup
from pipeline.errors import exit_with_message
from pipeline.settings import load_settings
from pipeline.warehouse.session import open_session
from pipeline.warehouse.tables import NAMESPACE, create_tables, create_views, table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="register", description=__doc__)
    parser.add_argument("--backup", type=Path, required=True)
    tables = read_backup(parser.parse_args(arguments).backup).tables
    settings = load_settings()
    with open_session(settings, "register") as spark:
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {NAMESPACE}")
        existing = {row.tableName for row in spark.sql(f"SHOW TABLES IN {NAMESPACE}").collect()}
        for name, relative in tables.items():
            if name not in existing:
                file = str(settings.home / "warehouse" / relative).replace("'", "\\'")
                spark.sql(f"CALL system.register_table('{table(name)}', 'file:{file}')").collect()
        create_tables(spark)
        create_views(spark, {}, settings.min_audience)
    print(f"registered {len(tables):,} tables")


if __name__ == "__main__":
    with exit_with_message():
        main()
