"""The data dictionary: every column of every table and view, and a page that needs nothing else."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline.analyst import query
from pipeline.analyst.dictionary import dictionary, write_dictionary


def test_it_explains_every_column_by_its_own_words_or_those_of_its_source() -> None:
    views, tables = dictionary()
    assert [entry.name for entry in views] == query.view_names()
    assert all(column.meaning for entry in [*views, *tables] for column in entry.columns)
    of_view = {entry.name: {one.name: (one.type, one.meaning) for one in entry.columns} for entry in views}
    assert of_view["user_interests"]["user_id"] == ("string", "pseudonym of the user")
    assert of_view["current_profiles"]["interests.rank"] == ("integer", "rank by affinity, from 1")
    direction = of_view["interest_movers"]["direction"][1]
    assert direction.startswith("rising or falling where") and direction.endswith("in both weeks")


def test_the_page_needs_nothing_else_and_escapes_the_sql(tmp_path: Path) -> None:
    write_dictionary(tmp_path / "dictionary.html", min_audience=7)
    page = (tmp_path / "dictionary.html").read_text(encoding="utf-8")
    links = set(re.findall(r"""(?:src|href)=["']([^"']*)""", page))
    assert {"#tag_audience", "#profiles"} <= links and all(link.startswith("#") for link in links)
    assert "fewer than 7" in page and "fewer than 10" not in page and "$" not in page
    assert "one.tag &lt; other.tag" in page


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-- tag: interest tag\n", "", r"sql/views/user_interests.sql: write what tag means, as -- tag: \.\.\."),
        (
            "-- tag: ",
            "-- topic: ",
            "sql/views/user_interests.sql explains topic, which is none of its columns: user_id",
        ),
    ],
)
def test_a_column_without_a_meaning_or_a_meaning_without_a_column_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    shutil.copytree(query.VIEWS, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "user_interests.sql"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    monkeypatch.setattr(query, "VIEWS", tmp_path)
    with pytest.raises(ValueError, match=message):
        dictionary()
