"""A short log has few tasks; a long one keeps its own."""

from collections.abc import Iterator

import pytest

from pipeline.transforms.log_size import SHORT_LOG, in_few_tasks


@pytest.fixture
def short_log(spark) -> Iterator[None]:
    spark.conf.set(SHORT_LOG, "true")
    yield
    spark.conf.unset(SHORT_LOG)


def test_the_rows_of_a_short_log_are_computed_by_as_many_tasks_as_a_shuffle_has(spark, short_log) -> None:
    rows = in_few_tasks(spark.range(0, 100, 1, 40))
    assert rows.rdd.getNumPartitions() == int(spark.conf.get("spark.sql.shuffle.partitions")) == 2
    assert sorted(row.id for row in rows.collect()) == list(range(100))
    assert in_few_tasks(spark.range(0, 100, 1, 1)).rdd.getNumPartitions() == 1


def test_a_long_log_keeps_its_tasks(spark) -> None:
    assert in_few_tasks(spark.range(0, 100, 1, 40)).rdd.getNumPartitions() == 40
