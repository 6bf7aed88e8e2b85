"""The key of pseudonyms: made once, never replaced, and no other one is used on the same data."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.pseudonyms import key_fingerprint, pseudonym_key
from pipeline.settings import Settings
from pipeline.warehouse.tables import create_tables, require_key, table, table_properties

KEY = "0123456789abcdef" * 4


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def file(settings: Settings) -> Path:
    """The key of a home."""
    file = settings.home / "pseudonym.key"
    file.touch(mode=0o600)
    file.write_text(KEY)
    return file


def test_a_new_home_gets_a_key_that_stays(settings: Settings) -> None:
    key = pseudonym_key(settings)
    assert len(key) == 64 and pseudonym_key(settings) == key
    modes = {file.name: file.stat().st_mode & 0o777 for file in settings.home.iterdir()}
    assert modes == {"pseudonym.key": 0o600, "pseudonym.key.fingerprint": 0o600}
    assert (settings.home / "pseudonym.key.fingerprint").read_text() == key_fingerprint(key)
    assert key_fingerprint(key) not in key.decode()


@pytest.mark.parametrize("data", ["landing/shop/source.toml", "warehouse/interest/events", "pseudonym.key.fingerprint"])
def test_a_lost_key_is_not_made_again_where_data_exists(settings: Settings, data: str) -> None:
    (settings.home / data).parent.mkdir(parents=True, exist_ok=True)
    (settings.home / data).touch()
    with pytest.raises(InputError, match=r"pseudonym\.key is missing, but .* exists: .*restore the key from"):
        pseudonym_key(settings)
    assert not (settings.home / "pseudonym.key").exists()


@pytest.mark.parametrize("key", ["", " \n", "short", "x" * 15])
def test_a_short_or_empty_key_is_refused(settings: Settings, file: Path, key: str) -> None:
    file.write_text(key)
    with pytest.raises(InputError, match=rf"has {len(key.strip())} characters, expected 16 or more"):
        pseudonym_key(settings)
    with pytest.raises(InputError, match="the setting pseudonym_key has"):
        pseudonym_key(Settings(home=settings.home, pseudonym_key=key))


def test_another_key_than_before_is_refused(settings: Settings, file: Path) -> None:
    assert pseudonym_key(settings) == KEY.encode()  # a home of before gets the fingerprint now
    file.write_text(KEY[::-1])
    expected = (
        f"fingerprint {key_fingerprint(KEY[::-1].encode())}, but .* was made with {key_fingerprint(KEY.encode())}"
    )
    with pytest.raises(InputError, match=expected) as raised:
        pseudonym_key(settings)
    assert KEY not in str(raised.value) and KEY[::-1] not in str(raised.value)
    with pytest.raises(InputError, match="restore that key"):
        pseudonym_key(Settings(home=settings.home, pseudonym_key="another key, which is long enough"))
    file.write_text(f"{KEY}\n")
    assert pseudonym_key(settings) == KEY.encode()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(settings: Settings, file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(InputError, match=r"others can read .*pseudonym\.key.* run `chmod 600 "):
        pseudonym_key(settings)


def test_the_catalog_keeps_the_fingerprint_and_refuses_another(iceberg: Any) -> None:
    create_tables(iceberg)
    require_key(iceberg, "a" * 16, table_properties(iceberg))
    require_key(iceberg, "a" * 16, table_properties(iceberg))
    with pytest.raises(InputError, match=f"fingerprint {'b' * 16}, but the table {table('events')} of this catalog"):
        require_key(iceberg, "b" * 16, table_properties(iceberg))
