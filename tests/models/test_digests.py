"""Digests do not depend on how a value was built, and are the same for ever: stores hold them."""

from __future__ import annotations

import pytest

from models.digests import canonical_json, digest_of


def test_a_digest_is_what_stores_hold() -> None:
    assert digest_of(b"") == "cae66941d9efbd404e4d88758ea67670"
    assert digest_of(b"whyspec") == "036473ab310a3ae9a8482e8791d247d6"


def test_json_text_depends_on_the_content_only() -> None:
    body = {"b": [1, 2.5, None], "a": {"y": "ä", "x": True}}
    turned = {"a": {"x": True, "y": "ä"}, "b": [1, 2.5, None]}
    assert (
        canonical_json(body) == canonical_json(turned) == rb'{"a":{"x":true,"y":"\u00e4"},"b":[1,2.5,null]}'
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_has_not_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": number})
