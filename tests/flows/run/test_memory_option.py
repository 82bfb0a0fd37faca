"""How memory is written on the command line."""

from __future__ import annotations

import pytest

from flows.option_types import memory
from models.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("1000", 1000),
        ("512MB", 512 * 10**6),
        ("2 GiB", 2 * 2**30),
        ("1.5gb", 1_500_000_000),
        ("64kib", 65536),
        ("800B", 800),
    ],
)
def test_sizes_are_understood(text: str, given: int) -> None:
    assert memory(text) == {"attribution_memory": given}


def test_nothing_given_overrides_nothing() -> None:
    assert memory(None) == {}


@pytest.mark.parametrize("text", ["", "much", "0", "-1GB", "1TBB", "GB", "nan", "infMB"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--memory(.|\n)*512MB or 2GiB"):
        memory(text)
