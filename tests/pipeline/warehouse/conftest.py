"""A Spark session on real Iceberg tables in a folder."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def iceberg(spark: Any, tmp_path: Path) -> Any:
    """A Spark session whose current catalog is one of Iceberg in a folder."""
    if not spark.conf.get("spark.driver.extraClassPath"):
        pytest.skip("no Iceberg in .throughline/jars: `throughline setup` fetches it")
    session = spark.newSession()
    settings = {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "hadoop", ".warehouse": str(tmp_path / "tables")}
    for key, value in settings.items():
        session.conf.set(f"spark.sql.catalog.scratch{key}", value)
    session.sql("USE scratch")
    return session
