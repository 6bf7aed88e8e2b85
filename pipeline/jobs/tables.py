"""Create missing tables and columns. This is the first Spark start of an installation, which also fetches the jars.

python -m pipeline.jobs tables
"""

from collections.abc import Sequence

from pipeline.errors import exit_with_message
from pipeline.settings import load_settings
from pipeline.warehouse.session import open_session
from pipeline.warehouse.tables import create_tables


def main(arguments: Sequence[str] | None = None) -> None:
    with open_session(load_settings(), "tables") as spark:
        create_tables(spark)


if __name__ == "__main__":
    with exit_with_message():
        main()
