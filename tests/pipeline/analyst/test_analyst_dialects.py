"""The views in the SQL of Spark and Trino: both parse them, and have all that the views use."""

import pytest
import sqlglot
from sqlglot import expressions as sql

from pipeline.analyst import dialects
from pipeline.analyst.dialects import DIALECTS, SCHEMAS, create_statements, fingerprint_of_views, select_in
from pipeline.analyst.query import names_read_by, view_names
from pipeline.errors import UsageError

# What sqlglot knows in no dialect, and the engine has.
OWN_FUNCTIONS = {"spark": {"ARRAY_SIZE"}, "trino": {"ROW"}}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("view", view_names())
def test_an_engine_parses_a_view_and_has_its_functions(view: str, dialect: str) -> None:
    tree = sqlglot.parse_one(select_in(dialect, view, 10), read=dialect)
    unknown = {one.name.upper() for one in tree.find_all(sql.Anonymous)} - OWN_FUNCTIONS[dialect]
    assert not unknown, f"sql/views/{view}.sql: {dialect} has no {', '.join(sorted(unknown))}"
    read = {one.name: one.db for one in tree.find_all(sql.Table) if one.db}
    assert read.keys() == names_read_by(view)
    assert {read[name] for name in read.keys() & {*view_names()}} <= {SCHEMAS[dialect]}


@pytest.mark.parametrize("view", view_names())
def test_a_view_does_no_arithmetic_on_dates_that_trino_lacks(view: str) -> None:
    """Trino adds no number to a date, and rounds the mean of decimals."""
    tree = sqlglot.parse_one(select_in("trino", view, 10), read="trino")
    dates = {"day", "as_of", "arrival_day", "started_on", "last_event_at", "release_day", "as_of_before"}
    for one in tree.find_all(sql.Add, sql.Sub):
        names = {column.name for column in one.this.find_all(sql.Column)} & dates
        assert not names or isinstance(one.expression, sql.Interval), f"sql/views/{view}.sql: {one.sql()}"
    for one in tree.find_all(sql.Avg):
        decimals = [number.name for number in one.find_all(sql.Literal) if "." in number.name]
        assert not decimals, f"sql/views/{view}.sql: {one.sql()}: write 1E0, not {decimals[0]}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_views_come_after_those_that_they_read(dialect: str) -> None:
    created = list(create_statements(dialect, 10))
    assert sorted(created) == view_names()
    for view in created:
        assert names_read_by(view) & {*created} <= {*created[: created.index(view)]}


def test_a_length_is_null_where_the_list_is_and_a_missing_key_too() -> None:
    assert "ARRAY_SIZE(entry.interest.evidence)" in select_in("spark", "user_interests", 10)
    assert "ELEMENT_AT(step_days.rows_out, 'accepted')" in select_in("trino", "night_health", 10)
    assert "UNNEST(TRANSFORM(interests, one -> ROW(one))) AS entry(interest)" in select_in(
        "trino", "user_interests", 10
    )


def test_comments_are_escaped_as_the_engine_reads_them() -> None:
    assert "last week\\'s affinities" in create_statements("spark", 10)["tag_calibration"]
    assert "last week''s affinities" in create_statements("trino", 10)["tag_calibration"]


def test_the_fingerprint_follows_the_floor_and_the_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint_of_views(10)
    assert before == fingerprint_of_views(10) != fingerprint_of_views(11)
    monkeypatch.setattr(dialects, "view_sql", lambda name, min_audience: "SELECT 1")
    assert fingerprint_of_views(10) != before


def test_another_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="expected spark or trino"):
        create_statements("oracle", 10)
