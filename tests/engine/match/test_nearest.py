"""Nearest objects: those of astropy, at the poles and where right ascension begins anew."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, match_coordinates_sky, search_around_sky
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.match.nearest import NearestObject, separation

ARCSEC = 1 / 3600
AWKWARD = (0.0, 1e-9, 90.0, -90.0, 89.99999, -89.99999, 359.9999999, 180.0)


def scattered(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in small heaps: at both poles, at the seam, at the equator, and some anywhere."""
    generator = np.random.default_rng(seed)
    heaps = np.array([(0.0, 90.0), (77.0, -90.0), (0.0, 12.0), (359.99999, 0.0), (150.0, 2.2)])
    ra, dec = heaps[generator.integers(0, len(heaps), number)].T
    ra = ra + generator.normal(0, 5 * ARCSEC, number) / np.maximum(np.cos(np.radians(dec)), 1e-5)
    dec = dec + generator.normal(0, 5 * ARCSEC, number)
    beyond = np.abs(dec) > 90
    return np.where(beyond, ra + 180, ra) % 360, np.where(beyond, np.sign(dec) * 180 - dec, dec)


@given(seed=st.integers(0, 2**32), radius=st.floats(0.1, 30))
@settings(max_examples=40, deadline=None)
def test_the_nearest_within_the_radius_are_those_of_astropy(seed: int, radius: float) -> None:
    objects, spectra = scattered(seed, 60), scattered(seed + 1, 80)
    found = NearestObject(*objects, radius * ARCSEC).of(*spectra)
    theirs, ours = SkyCoord(*objects, unit="deg"), SkyCoord(*spectra, unit="deg")
    nearest, apart, _ = match_coordinates_sky(ours, theirs)
    expected = np.flatnonzero(apart.arcsec <= radius)
    assert found.places.tolist() == expected.tolist()
    assert found.objects.tolist() == nearest[expected].tolist()
    np.testing.assert_allclose(found.separation * 3600, apart.arcsec[expected], rtol=1e-9, atol=1e-9)
    pairs, *_ = search_around_sky(ours, theirs, radius * u.arcsec)
    assert found.several == int((np.bincount(pairs, minlength=80) > 1).sum())


@given(
    ra=st.sampled_from(AWKWARD) | st.floats(0, 360),
    dec=st.sampled_from((0.0, 90.0, -90.0, 89.9999999, 45.0)) | st.floats(-90, 90),
    turn=st.sampled_from((-360.0, 0.0, 360.0)),
)
@settings(max_examples=60, deadline=None)
def test_a_position_is_its_own_neighbour_whatever_its_turn(ra: float, dec: float, turn: float) -> None:
    found = NearestObject(np.array([ra]), np.array([dec]), ARCSEC).of(np.array([ra + turn]), np.array([dec]))
    assert found.objects.tolist() == [0]
    assert found.separation[0] * 3600 < 1e-6
    assert found.several == 0


def test_at_a_pole_right_ascension_means_nothing() -> None:
    pole = NearestObject(np.array([10.0]), np.array([90.0]), ARCSEC)
    assert pole.of(np.array([0.0, 200.0]), np.array([90.0, 90 - 0.5 * ARCSEC])).places.tolist() == [0, 1]


@pytest.mark.parametrize("dec", [0.0, 60.0, -89.9])
def test_the_border_belongs_to_the_radius(dec: float) -> None:
    there = np.array([30.0]), np.array([dec])
    exact = float(separation(there[0], there[1], there[0] + 1e-3, there[1])[0])
    for radius, count in ((exact, 1), (np.nextafter(exact, 0), 0)):
        found = NearestObject(*there, radius).of(there[0] + 1e-3, there[1])
        assert len(found.places) == count


def test_separations_keep_their_digits_at_small_angles() -> None:
    dec, apart = np.full(5, 40.0), np.array([1e-3, 1e-2, 0.1, 1.0, 10.0]) * ARCSEC
    ra = np.zeros(5)
    np.testing.assert_allclose(separation(ra, dec, ra, dec + apart), apart, rtol=1e-7)
    expected = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(ra + apart, dec, unit="deg")).deg
    np.testing.assert_allclose(separation(ra, dec, ra + apart, dec), expected, rtol=1e-7)


def test_matches_by_chance_are_counted_where_the_spectra_are_moved_to() -> None:
    radius = 10 * ARCSEC
    objects = np.array([50.0, 50.0, 230.0]), np.array([20.0, 20 + 20 * radius, 90 - 5 * radius])
    nearest = NearestObject(*objects, radius)
    assert nearest.by_chance(np.array([50.0, 50.0]), np.array([20.0, 20 + 20 * radius])) == 1
    # Over the pole, and down on the other side.
    assert nearest.by_chance(np.array([50.0]), np.array([90 - 15 * radius])) == 1
