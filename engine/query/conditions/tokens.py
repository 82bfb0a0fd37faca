"""Tokens of an expression: its words, numbers, texts and signs, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from models.errors import ConfigurationError, ErrorKind
from models.plain_text import printable

TokenKind = Literal["word", "number", "text", "sign", "end"]

LONGEST = 100_000
"""Characters that an expression may have."""

_SHOWN = 60
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?(?![\w.]))
    | (?P<word>[A-Za-z_]\w*)
    | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<comment>--|/\*)
    | (?P<sign><=|>=|==|!=|<>|[-+*/()<>=,])""",
    re.VERBOSE,
)
_HALF = re.compile(r"[\ud800-\udfff]")
_UNKNOWN = {
    "'": ("A text has no end.", "Close it with the quote that it begins with; write '' for a quote in it."),
    '"': ("A text has no end.", 'Close it with the quote that it begins with; write "" for a quote in it.'),
    ";": ("An expression is one condition.", "Join conditions by and, or."),
}


@dataclass(frozen=True)
class Token:
    """A piece of an expression.

    Attributes
    ----------
    text : as written; of a text what is between the quotes.
    at : place of its first character, from 0.
    """

    kind: TokenKind
    text: str
    at: int

    @property
    def keyword(self) -> str:
        """A word in lower case or a sign as it is; empty for numbers and texts."""
        return self.text.lower() if self.kind in ("word", "sign") else ""


def tokens_of(text: str) -> list[Token]:
    """The tokens of an expression; the last is its end.

    Raises
    ------
    ConfigurationError : it has a character or a number that no expression has, or is too long.
    """
    if len(text) > LONGEST:
        raise expression_error(
            text,
            LONGEST,
            "The expression is too long.",
            allowed=f"{LONGEST:,} characters",
            remedy="Give a list of targets as a file.",
        )
    if half := _HALF.search(text):
        raise expression_error(text, half.start(), "The expression is no UTF-8 text.")
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup == "comment":
            raise _unknown(text, at)
        found += _token(match)
        at = match.end()
    return [*found, Token("end", "", len(text))]


def _token(match: re.Match[str]) -> list[Token]:
    text, at = match[0], match.start()
    match match.lastgroup:
        case "word" | "number" | "sign" as kind:
            return [Token(kind, text, at)]
        case "text":
            return [Token("text", text[1:-1].replace(text[0] * 2, text[0]), at)]
    return []


def _unknown(text: str, at: int) -> ConfigurationError:
    if re.match(r"[0-9.]", text[at]):
        return expression_error(text, at, "That is not a number.", allowed="numbers such as 5, 0.1, 1e-4")
    if text.startswith(("--", "/*"), at):
        return expression_error(text, at, "An expression has no comments.", remedy="Leave them out.")
    what, remedy = _UNKNOWN.get(text[at], ("No expression has this character.", ""))
    return expression_error(text, at, what, remedy=remedy)


def expression_error(
    text: str, at: int, what: str, *, allowed: str = "", remedy: str = ""
) -> ConfigurationError:
    """The error that points at a place in an expression."""
    first = max(0, min(at - _SHOWN // 2, len(text) - _SHOWN))
    shown = printable(text[first : first + _SHOWN].replace("\n", " ").replace("\t", " "))
    return ConfigurationError(
        what,
        where=f"character {at + 1} of the expression",
        got=f"\n    {shown}\n    {' ' * (at - first)}^",
        allowed=allowed,
        remedy=remedy or "docs/query.md says what an expression may have.",
        kind=ErrorKind.EXPRESSION,
    )
