"""Notebook page: a small piece of HTML about one thing, in which nothing from data is obeyed."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from markupsafe import Markup, escape

from models.plain_text import printable


def facts_page(title: str, facts: Iterable[tuple[str, object]], figure: bytes = b"") -> str:
    """HTML of a title, a table of facts, and a figure (PNG) below it if there is one."""
    rows = Markup().join(
        Markup('<tr><th style="text-align:left">{}</th><td style="text-align:left">{}</td></tr>').format(
            _text(name), _text(value)
        )
        for name, value in facts
    )
    drawn = Markup()
    if figure:
        drawn = Markup('<img style="max-width:100%" src="data:image/png;base64,{}" alt="{}">').format(
            base64.b64encode(figure).decode("ascii"), _text(title)
        )
    return str(Markup("<div><b>{}</b><table>{}</table>{}</div>").format(_text(title), rows, drawn))


def facts_text(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """The same in lines of plain text."""
    return "\n  ".join([printable(title), *(printable(f"{name}: {value}") for name, value in facts)])


def _text(value: object) -> Markup:
    return escape(printable(str(value)))
