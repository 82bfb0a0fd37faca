"""Peak filters: the forms that a user writes, and the rows that they keep."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.peak_filter import PeakFilter, line_at_peak, parse_peak
from models.errors import ConfigurationError
from models.lines import LINES


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hα", PeakFilter(6564.61, 15.0, "rest")),
        ("halpha", PeakFilter(6564.61, 15.0, "rest")),
        ("[O III] 5008", PeakFilter(5008.24, 15.0, "rest")),
        ("OIII+-3", PeakFilter(5008.24, 3.0, "rest")),
        ("5008.24", PeakFilter(5008.24, 15.0, "rest")),
        (" 5008 ± 2.5 ", PeakFilter(5008.0, 2.5, "rest")),
        ("5008 Å", PeakFilter(5008.0, 15.0, "rest")),
        ("obs:5579+-3", PeakFilter(5579.0, 3.0, "observed")),
    ],
)
def test_what_people_write(text: str, wanted: PeakFilter) -> None:
    assert parse_peak(text) == wanted


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_every_line_is_found_by_its_name(line) -> None:  # type: ignore[no-untyped-def]
    assert parse_peak(line.name).wavelength == line.wavelength


def test_an_unknown_line_brings_close_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean .*Hα"):
        parse_peak("halfa")
    with pytest.raises(ConfigurationError, match=r"allowed: Lyα[\s\S]*Any rest wavelength"):
        parse_peak("qqqq")


@pytest.mark.parametrize("text", ["   ", "-5008", "0", "5008+-0", "nan", "inf", "5008+-1.2.3"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--peak"):
        parse_peak(text)


def test_a_line_has_no_observed_wavelength() -> None:
    with pytest.raises(ConfigurationError, match="Leave out obs:"):
        parse_peak("obs:Hα")


def test_matches_rest_or_observed_and_never_nan() -> None:
    observed, redshift = np.array([5508.0, 5008.0, np.nan, 5008.0]), np.array([0.1, 0.1, 0.1, np.nan])
    assert parse_peak("OIII").matches(observed, redshift).tolist() == [True, False, False, False]
    assert parse_peak("obs:5008").matches(observed, redshift).tolist() == [False, True, False, True]


def test_a_peak_is_named_after_a_line_only_if_its_window_can_single_one_out() -> None:
    assert line_at_peak(6570.0, 12.8) == "Hα"
    assert line_at_peak(6570.0, 204.8) == ""
    assert line_at_peak(6400.0, 12.8) == ""
    assert line_at_peak(float("nan"), 12.8) == ""
