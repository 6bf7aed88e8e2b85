"""Which encoding the bytes of a log look like."""

from collections import Counter

import charset_normalizer

UTF_8 = "utf-8"
MOST = 0.8  # of the lines with other bytes than ASCII, for the log to be no UTF-8
LINES, LINES_AT_ONCE = 1_000, 20  # that are looked at; together, so that a broken line spoils only its own group
# Of western Europe, Russian, simplified and traditional Chinese, Japanese and Korean. Others of a byte a letter differ
# from the first one in a few letters only.
ENCODINGS = ["cp1252", "cp1251", "gb18030", "big5", "shift_jis", "euc_jp", "cp949"]


def encoding_of(content: bytes) -> str:
    """Return the encoding of the beginning of a log: utf-8, unless most lines with other bytes than ASCII are none.

    A log in UTF-8 may hold single lines that are none, such as addresses that visitors made up.
    """
    lines = [line for line in content.split(b"\n")[:-1] if not line.isascii()]
    others = [line for line in lines if not _is_utf8(line)]
    if not others or len(others) < MOST * len(lines):
        return UTF_8
    starts = range(0, min(len(others), LINES), LINES_AT_ONCE)
    groups = [b"\n".join(others[start : start + LINES_AT_ONCE]) for start in starts]
    found = [charset_normalizer.from_bytes(group, cp_isolation=ENCODINGS).best() for group in groups]
    votes = Counter(one.encoding for one in found if one)
    return votes.most_common(1)[0][0] if votes else UTF_8


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
