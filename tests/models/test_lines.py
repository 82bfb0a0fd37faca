"""Names of lines as people type them."""

from __future__ import annotations

import pytest

from models.lines import LINES, line_named, line_of_feature, nearest_line


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


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("[O III] 5007", "[O III] 5008"),
        ("He I 5876", "He I 5877"),
        ("[OII] 7325", "[O II] 7327"),
        ("O I 8446", "O I 8449"),
        ("FeVII", "[Fe VII] 6089"),
        ("[Fe X]", "[Fe X] 6376"),
        ("[Fe XIV] 5303", "[Fe XIV] 5304"),
        ("OII", "[O II]"),
        ("WR C IV", "WR C IV 5808"),
    ],
)
def test_wavelengths_in_air_and_ions_are_names(typed: str, name: str) -> None:
    line = line_named(typed)
    assert line is not None
    assert line.name == name


def test_a_wavelength_of_no_line_of_the_ion_is_no_name() -> None:
    assert line_named("[O III] 5020") is None


def test_lines_are_in_order_and_have_names_of_their_own() -> None:
    wavelengths = [line.wavelength for line in LINES]
    assert wavelengths == sorted(wavelengths)
    assert len({line.name for line in LINES}) == len(LINES)


@pytest.mark.parametrize(
    ("wavelength", "width", "name"),
    [
        (6565.0, 8.0, "Hα"),
        (6584.0, 8.0, "[N II] 6585"),
        (6582.0, 60.0, "Hα"),  # holds both
        (6605.0, 35.0, "Hα"),  # the red wing holds [N II] alone
        (6510.0, 100.0, "Hα"),
        (6725.0, 25.0, "[S II] 6718"),
        (4975.0, 12.0, ""),
        (4986.0, 240.0, "Hβ"),
        (5008.0, 25.0, "[O III] 5008"),
        (4305.0, 32.0, "G band"),
        (4660.0, 60.0, "He II 4687"),
        (4645.0, 20.0, "WR N III 4642"),
        (5810.0, 40.0, "WR C IV 5808"),
        (6376.0, 10.0, "[Fe X] 6376"),
        (2800.0, 160.0, "Mg II"),
        (6565.0, 500.0, ""),  # too broad for any line
        (6300.0, 120.0, ""),  # too broad for [O I]
        (float("nan"), 8.0, ""),
        (6565.0, float("nan"), ""),
    ],
)
def test_the_line_of_a_feature(wavelength: float, width: float, name: str) -> None:
    line = line_of_feature(wavelength, width)
    assert (line.name if line else "") == name
