"""Pseudonyms are HMAC-SHA256, and the key appears in no plan."""

import hmac
import io
from contextlib import redirect_stdout
from hashlib import sha256

import numpy as np
import pytest
from pyspark.sql import functions as F

from pipeline.transforms.pseudonymize import kept_address, pseudonymize

IDS = "user_space STRING, user_id STRING, device_id STRING, session_id STRING"
KEYS = [b"k", b"correct horse battery staple", b"x" * 64, b"y" * 65, bytes(range(256))]


def ids() -> list[str]:
    random = np.random.default_rng(1)
    letters = list("abcXYZ019-_ '\"\\|é字😀\u0000\u202e")
    drawn = ["".join(random.choice(letters, int(random.integers(1, 200)))) for _ in range(300)]
    return ["1", "-9223372036854775808", "18446744073709551615", " ", "naïve", "用户", "🦆", "a" * 5000, *drawn]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{len(key)} bytes")
def test_a_pseudonym_is_the_hmac_of_the_id(key: bytes, frame_of) -> None:
    people = ids()
    rows = [{"user_space": "web", "user_id": one, "device_id": one, "session_id": one} for one in people]
    made = pseudonymize(frame_of(rows, IDS), key)
    assert made.columns == ["user_space", "user_id", "device_id", "session_key"]
    wanted = [hmac.new(key, f"web\x1f{one}".encode(), sha256).hexdigest() for one in people]
    found = made.collect()
    assert sorted(row.user_id for row in found) == sorted(wanted)
    assert all(row.user_id == row.device_id == row.session_key for row in found)


def test_equal_ids_of_two_spaces_are_two_users(frame_of) -> None:
    rows = [{"user_space": space, "user_id": "17"} for space in ("shop-a", "shop-b", "shop-a")]
    assert len({row.user_id for row in pseudonymize(frame_of(rows, IDS), b"key").collect()}) == 2


def test_an_event_before_login_has_the_pseudonym_of_its_device(frame_of) -> None:
    rows = [{"user_space": "web", "device_id": "d"}, {"user_space": "web", "user_id": "u"}]
    made = pseudonymize(frame_of(rows, IDS), b"key").collect()
    of_user, of_device = (hmac.new(b"key", b"web\x1f" + one, sha256).hexdigest() for one in (b"u", b"d"))
    assert {(row.user_id, row.device_id) for row in made} == {(of_device, of_device), (of_user, None)}


@pytest.mark.parametrize("key", [b"a secret of thirty-two letters!!", b"z" * 70], ids=["short", "long"])
def test_no_plan_shows_the_key(key: bytes, frame_of) -> None:
    made = pseudonymize(frame_of([{"user_space": "web", "user_id": "u", "device_id": "d"}], IDS), key)
    hidden = made.where("user_id > 'a'").groupBy("user_id").count()  # so that the optimizer rewrites the plan
    printed = io.StringIO()
    with redirect_stdout(printed):
        for mode in ("extended", "formatted", "cost", "codegen"):
            hidden.explain(mode=mode)
    text = printed.getvalue() + hidden._jdf.queryExecution().toString() + made._jdf.queryExecution().toString()
    assert "Physical Plan" in text

    block = (sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    secrets = [key, block, *(bytes(byte ^ mask for byte in block) for mask in (0x36, 0x5C))]
    shown = text.lower().replace(" ", "").replace(",", "")
    for secret in secrets:
        forms = (secret.hex(), secret.decode("latin-1").lower(), "".join(str(byte) for byte in secret))
        assert not any(form[:16].replace(" ", "").replace(",", "") in shown for form in forms)


def test_events_keep_of_an_address_what_the_toml_says(frame_of) -> None:
    """Queries, fragments and users before the host may name a person; by default they are left out."""
    paths = {
        "https://shop.example/garden?q=ann@mail.example&sid=7": "https://shop.example/garden",
        "https://ann:secret@shop.example/a@b#token=9": "https://shop.example/a@b",
        "//ann@shop.example": "//shop.example",
        "/garden/spade?ref=home\n?x": "/garden/spade",
        "shop.example:443/s/user@b": "shop.example:443/s/user@b",
        "?sid=7": None,
    }
    rows = [{"address": one, "kept": kept} for one in paths for kept in ("path", "full", "none")]
    found = frame_of(rows, "address STRING, kept STRING").select(
        "address", "kept", kept_address(F.col("address"), F.col("kept")).alias("stored")
    )
    stored = {(row.address, row.kept): row.stored for row in found.collect()}
    assert {one: stored[one, "path"] for one in paths} == paths
    assert all(stored[one, "full"] == one and stored[one, "none"] is None for one in paths)
