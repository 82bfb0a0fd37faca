"""Places of made-up maps and residuals: where, how wide, of which sign, with what share and name."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution
from engine.attribution.places import MOST_PLACES, Place, places_of, standing_out
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from models.grid import WavelengthGrid

SCALES = (1, 4, 16, 64, 256, 1024)
SIGMA = 0.2
Floats = NDArray[np.float64]


def profile(grid: WavelengthGrid, centre: float, fwhm: float) -> Floats:
    """(N,) of height 1."""
    found: Floats = np.exp(-4 * np.log(2) * ((grid.wavelength() - centre) / fwhm) ** 2)
    return found


def windowed(residual: Floats) -> Attribution:
    """As occlusion answers a residual: at each scale the square of its S/N in the window around a pixel."""
    maps = []
    for scale in SCALES:
        sums = np.convolve(residual / SIGMA, np.ones(scale), mode="same")
        maps.append(sums**2 / scale)
    return made(np.mean(maps, axis=0))


def made(combined: Floats) -> Attribution:
    """An attribution with this combined map."""
    return Attribution(
        scales=np.array(SCALES),
        maps=np.repeat(combined[None], len(SCALES), axis=0),
        spread=np.zeros((len(SCALES), len(combined))),
        combined=combined,
        score=5.0,
        peak_pixel=int(combined.argmax()),
        peak_scale=1,
    )


def found(
    residual: Floats, grid: WavelengthGrid = DESI_GRID, redshift: float = 0.1, good: Floats | None = None
) -> tuple[Place, ...]:
    ivar = np.full(grid.size, SIGMA**-2) if good is None else good * SIGMA**-2
    residual = residual + SIGMA * np.random.default_rng(3).standard_normal(grid.size)
    return places_of(windowed(residual * (ivar > 0)), residual, ivar, grid, redshift)


@pytest.mark.parametrize("grid", [DESI_GRID, SDSS_GRID], ids=["desi", "sdss"])
@pytest.mark.parametrize("fwhm", [5.0, 20.0, 80.0, 300.0])
@pytest.mark.parametrize("height", [2.0, -2.0])
def test_the_width_and_the_sign_are_the_features(grid: WavelengthGrid, fwhm: float, height: float) -> None:
    first = found(height * profile(grid, 6100.0, fwhm), grid)[0]
    assert abs(first.wavelength - 6100.0) < 0.3 * fwhm
    assert first.rest_wavelength == pytest.approx(first.wavelength / 1.1)
    assert fwhm / 2 <= first.width <= 2 * fwhm
    assert first.sign == np.sign(height)
    assert first.flux == ("excess" if height > 0 else "deficit")


def test_one_bad_pixel_is_one_pixel_wide() -> None:
    residual = np.zeros(DESI_GRID.size)
    residual[3000] = 8.0
    first = found(residual)[0]
    assert first.wavelength == pytest.approx(DESI_GRID.wavelength()[3000])
    assert first.width == pytest.approx(DESI_GRID.step)


def test_features_apart_are_places_of_their_own() -> None:
    grid = DESI_GRID
    planted = {4500.0: 3.0, 5600.0: -2.5, 7000.0: 2.0, 7060.0: 2.2}
    places = found(sum(height * profile(grid, at, 12.0) for at, height in planted.items()))[:4]
    assert sorted(round(place.wavelength, -1) for place in places) == sorted(planted)
    assert {round(place.wavelength, -1): place.sign for place in places} == {
        at: np.sign(height) for at, height in planted.items()
    }


@pytest.mark.parametrize("seed", range(8))
def test_places_do_not_overlap_and_share_at_most_everything(seed: int) -> None:
    random = np.random.default_rng(seed)
    grid = DESI_GRID
    residual = sum(
        random.normal(0, 3) * profile(grid, random.uniform(3700, 9700), 2 ** random.uniform(1, 8))
        for _ in range(20)
    )
    good = (random.random(grid.size) > 0.05).astype(float)
    places = found(residual, good=good)
    assert 1 <= len(places) <= MOST_PLACES
    ends = sorted(
        (place.wavelength - place.width / 2, place.wavelength + place.width / 2) for place in places
    )
    assert all(before[1] <= after[0] + 1e-6 for before, after in pairwise(ends))
    shares = [place.share for place in places]
    assert min(shares) >= 0
    assert sum(shares) <= 1 + 1e-9


def test_a_floor_changes_nothing() -> None:
    residual = 2 * profile(DESI_GRID, 6100.0, 30.0) - profile(DESI_GRID, 8000.0, 90.0)
    ivar = np.full(DESI_GRID.size, SIGMA**-2)
    combined = windowed(residual).combined
    places = [
        places_of(made(np.asarray(combined + floor)), residual, ivar, DESI_GRID, 0.1)
        for floor in (0.0, -0.3 * combined.max(), combined.max())
    ]
    assert len(places[0]) > 0
    for other in places[1:]:
        assert [(each.wavelength, each.width, each.sign, each.line) for each in other] == [
            (each.wavelength, each.width, each.sign, each.line) for each in places[0]
        ]
        np.testing.assert_allclose([each.share for each in other], [each.share for each in places[0]])


@pytest.mark.parametrize("height", [0.0, 1.0, -1.0])
def test_a_uniform_map_has_no_place(height: float) -> None:
    ivar = np.full(DESI_GRID.size, SIGMA**-2)
    residual = profile(DESI_GRID, 6100.0, 30.0)
    ripples = 1e-3 * np.random.default_rng(0).standard_normal(DESI_GRID.size)
    for combined in (np.full(DESI_GRID.size, height), height * (1 + ripples)):
        assert places_of(made(combined), residual, ivar, DESI_GRID, 0.1) == ()
    assert standing_out(np.full(9, 3.0), np.ones(9, bool)) == 0.0


def test_a_spectrum_without_good_pixels_has_no_place() -> None:
    nothing = np.zeros(DESI_GRID.size)
    assert places_of(made(nothing), nothing, nothing, DESI_GRID, 0.1) == ()


def test_masked_pixels_part_no_feature_and_hold_no_place() -> None:
    good = np.ones(DESI_GRID.size)
    good[3120:3124] = 0.0
    centre = DESI_GRID.wavelength()[3125]
    (first, *_) = found(2 * profile(DESI_GRID, centre, 40.0), good=good)
    assert 20.0 <= first.width <= 80.0
    assert abs(first.wavelength - centre) < 10.0


def test_a_broad_line_with_a_narrow_one_on_it_has_its_name() -> None:
    (first, *_) = found(1.5 * profile(DESI_GRID, 6560.0 * 1.1, 90.0))
    assert first.line == "Hα"
    assert str(first).startswith(f"Hα {first.wavelength:.1f} Å, ")
