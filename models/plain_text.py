"""Plain text of others: names from files, headers and cards, shown so that nothing obeys what is in them."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys (escape sequences), what reverses the text after it, and halves of characters, which
stand for bytes that are no UTF-8 text. Tabs and ends of lines stay."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a field that a spreadsheet takes for a formula."""


def printable(text: str) -> str:
    """The text with a picture in place of every control character."""
    return _CONTROL.sub(lambda found: _picture(found[0]), text)


def escaped(json_text: str) -> str:
    """JSON text that says the same, with control characters escaped."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)


def no_formula(text: str) -> str:
    """A field of CSV that no spreadsheet takes for a formula: with an apostrophe before it where it would."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def markdown_text(text: str) -> str:
    """The text in one line of Markdown, in which it is no HTML, link, code or end of a table's cell."""
    return re.sub(r"([\\`\[\]<>|&])", r"\\\1", printable(text).replace("\n", " "))


def _picture(character: str) -> str:
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    return "\N{SYMBOL FOR DELETE}" if character == "\x7f" else "\N{REPLACEMENT CHARACTER}"
