"""The stored form of a user id."""

import hashlib
import hmac

import pytest

from pipeline.errors import InputError
from pipeline.pseudonyms import pseudonym, user_space
from pipeline.sources.schema import Source


def source_named(name: str, **identity: str) -> Source:
    reader = {"format": "jsonl", "fields": "user STRING"}
    columns = {"user_id": "user", "event_at": "at", "event_type": "type"}
    toml = {"name": name, "reader": reader, "columns": columns, "event_types": {"view": {"as": "view"}}}
    return Source.model_validate({**toml, "identity": identity})


@pytest.mark.parametrize("user", ["17", "ü", "-9223372036854775808", ""])
def test_it_is_the_hmac_of_space_and_id(user: str) -> None:
    message = b"shop\x1f" + user.encode("utf-8")
    assert pseudonym("shop", user, b"k") == hmac.new(b"k", message, hashlib.sha256).hexdigest()


def test_equal_ids_of_two_spaces_differ() -> None:
    assert len({pseudonym(space, user, b"k") for space in ("a", "b") for user in ("17", "18")}) == 4


def test_an_id_alone_names_a_user_where_all_sources_have_one_space() -> None:
    one = {"web": source_named("web", users="shop"), "app": source_named("app", users="shop")}
    assert {user_space(one, name) for name in (None, "web", "app")} == {"shop"}
    two = {**one, "blog": source_named("blog")}
    assert user_space(two, "blog") == "blog"
    with pytest.raises(InputError, match=r"2 id spaces of users \(blog, shop\).*--source, one of web, app, blog"):
        user_space(two, None)
    with pytest.raises(InputError, match="no source 'news' has landed: landed are web, app, blog"):
        user_space(two, "news")
