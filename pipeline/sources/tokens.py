"""The words and signs of an expression of a TOML."""

import re
from typing import NamedTuple

from pipeline.sources.values import ExpressionError

TOKEN = re.compile(
    r"""(?s)\s+|(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")"""
    r"""|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:BD|bd|[LSYDFlsydf])?(?![\w`]))"""
    r"""|(?P<quoted>`(?:[^`]|``)+`)|(?P<word>[^\W\d]\w*)|(?P<sign><=>|<=|>=|<>|!=|==|\|\||::|->|[-+*/%<>=!(),.\[\]])"""
)
COMMENT = ("--", "/*")


class Token(NamedTuple):
    kind: str  # text, number, quoted, word, sign or end
    text: str


def tokens_of(text: str) -> list[Token]:
    found, position = [], 0
    while position < len(text):
        if text.startswith(COMMENT, position):
            raise ExpressionError(f"a comment {text[position : position + 2]!r} is not allowed in an expression")
        match = TOKEN.match(text, position)
        if not match:
            raise ExpressionError(f"{text[position : position + 20]!r} is not allowed in an expression")
        if match.lastgroup:
            found.append(Token(match.lastgroup, match[0]))
        position = match.end()
    return [*found, Token("end", "")]


def text_of(literal: str) -> str:
    """Return the value of a literal text of Spark."""
    quote = literal[0]
    codes = r"(?s)\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))|" + quote * 2
    signs = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}

    def decoded(found: re.Match[str]) -> str:
        short, long, octal, sign = found.groups()
        if short or long:
            code = int(short or long, 16)
            return chr(code) if code <= 0x10FFFF else "?"
        return chr(int(octal, 8)) if octal else signs.get(sign, sign) if sign else quote

    return re.sub(codes, decoded, literal[1:-1])
