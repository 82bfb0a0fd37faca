"""Texts of others: nothing obeys them, and nothing of them is lost in silence."""

from __future__ import annotations

import json

import pytest

from models.plain_text import escaped, markdown_text, no_formula, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("coadd-é-日本-Hα.fits", "coadd-é-日本-Hα.fits"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b]0;title\x07", "␛[31mred␛]0;title␇"),
        ("\x7f\x9b2J", "␡�2J"),
        ("gpj.\u202efits", "gpj.�fits"),
        ("not-utf8-\udcff", "not-utf8-�"),
    ],
)
def test_control_characters_are_pictures(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert json.loads(escaped(json.dumps(text, ensure_ascii=False))) == text


def test_formulas_begin_with_an_apostrophe_and_other_texts_do_not() -> None:
    for formula in ("=1+1", "+1", "-1+1", "@SUM(A1)", "\tx", "\rx"):
        assert no_formula(formula) == f"'{formula}"
    for text in ("", "a=b", "[O III] 5008", "'x", "iron/main/dark/1"):
        assert no_formula(text) == text


def test_markdown_has_no_html_links_or_cells_of_theirs() -> None:
    assert markdown_text("a|b<img>[x](y)`c`&lt;\nd") == r"a\|b\<img\>\[x\](y)\`c\`\&lt; d"
