"""Names of lines as people type them."""

from __future__ import annotations

import pytest

from models.lines import line_named, nearest_line


@pytest.mark.parametrize(
    ("typed", "wavelength"),
    [
        ("Halpha", 6564.61),
        ("hα", 6564.61),
        ("[OIII] 5008", 5008.24),
        ("oiii", 5008.24),
        ("[O III]", 5008.24),
        ("Ca K", 3934.78),
        ("mgii", 2799.12),
    ],
)
def test_line_named(typed: str, wavelength: float) -> None:
    line = line_named(typed)
    assert line is not None
    assert line.wavelength == wavelength


def test_unknown_name() -> None:
    assert line_named("unobtainium") is None


def test_nearest_line_respects_the_tolerance() -> None:
    line = nearest_line(6560.0, 10.0)
    assert line is not None
    assert line.name == "Hα"
    assert nearest_line(6400.0, 10.0) is None
