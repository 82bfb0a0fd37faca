"""Place filters: the forms that a user writes, and the rows that they keep."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.place_filter import PlaceFilter, parse_line, parse_place
from models.errors import ConfigurationError
from models.lines import LINES


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hα", PlaceFilter(6564.61, 15.0, "rest")),
        ("halpha", PlaceFilter(6564.61, 15.0, "rest")),
        ("[O III] 5008", PlaceFilter(5008.24, 15.0, "rest")),
        ("OIII+-3", PlaceFilter(5008.24, 3.0, "rest")),
        ("5008.24", PlaceFilter(5008.24, 15.0, "rest")),
        (" 5008 ± 2.5 ", PlaceFilter(5008.0, 2.5, "rest")),
        ("5008 Å", PlaceFilter(5008.0, 15.0, "rest")),
        ("obs:5579+-3", PlaceFilter(5579.0, 3.0, "observed")),
    ],
)
def test_what_people_write(text: str, wanted: PlaceFilter) -> None:
    assert parse_place(text) == wanted


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_every_line_is_found_by_its_name(line) -> None:  # type: ignore[no-untyped-def]
    assert parse_place(line.name).wavelength == line.wavelength


def test_an_unknown_line_brings_close_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean .*Hα"):
        parse_place("halfa")
    with pytest.raises(ConfigurationError, match=r"allowed: Lyα[\s\S]*Any rest wavelength"):
        parse_place("qqqq")


@pytest.mark.parametrize("text", ["   ", "-5008", "0", "5008+-0", "nan", "inf", "5008+-1.2.3"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--place"):
        parse_place(text)


def test_a_line_has_no_observed_wavelength() -> None:
    with pytest.raises(ConfigurationError, match="Leave out obs:"):
        parse_place("obs:Hα")


def test_any_place_matches_at_rest_or_observed_and_none_never() -> None:
    nothing = [np.nan, np.nan]
    observed = np.array([[4000.0, 5508.0], [5008.0, 4000.0], nothing, [5008.0, np.nan]])
    redshift = np.array([0.1, 0.1, 0.1, np.nan])
    assert parse_place("OIII").matches(observed, redshift).tolist() == [True, False, False, False]
    assert parse_place("obs:5008").matches(observed, redshift).tolist() == [False, True, False, True]


def test_a_line_has_the_name_that_stores_have() -> None:
    assert [parse_line(name) for name in ("Halpha", "oiii", "[Fe VII] 6087")] == [
        "Hα",
        "[O III] 5008",
        "[Fe VII] 6089",
    ]
    with pytest.raises(ConfigurationError, match=r"--line[\s\S]*Did you mean .*Hα"):
        parse_line("halfa")
