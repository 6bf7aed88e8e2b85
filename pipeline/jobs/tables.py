"""Create missing tables, columns and views. The first Spark start of an installation, which also fetches the jars.

python -m pipeline.jobs tables
"""

from collections.abc import Sequence

from pipeline.errors import exit_with_message
from pipeline.settings import load_settings
from pipeline.warehouse.session import open_session
from pipeline.warehouse.tables import create_tables, create_views, table_properties


def main(arguments: Sequence[str] | None = None) -> None:
    settings = load_settings()
    with open_session(settings, "tables") as spark:
        create_tables(spark)
        create_views(spark, table_properties(spark), settings.min_audience)


if __name__ == "__main__":
    with exit_with_message():
        main()
