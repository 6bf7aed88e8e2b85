"""The stored form of a user id."""

import pytest

from pipeline.pseudonyms import pseudonym


@pytest.mark.parametrize(
    ("key", "source_id", "expected"),
    [  # RFC 4231, test cases 2 and 6
        (b"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (b"\xaa" * 131, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    ],
)  # fmt: skip
def test_known_vectors(key: bytes, source_id: str, expected: str) -> None:
    assert pseudonym(source_id, key) == expected


def test_the_text_is_utf8() -> None:
    assert pseudonym("ü", b"k") != pseudonym("u", b"k")
    assert len(pseudonym("-9223372036854775808", b"k")) == 64
