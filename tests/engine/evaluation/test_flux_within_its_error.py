"""What lies within its error moves no tail probability; what lies far outside of it is found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.evaluation.held_out_spectra import HeldOutSettings, held_out_spectra
from engine.spectra.normalisation import normalise
from engine.spectra.spectra import Spectra
from models.signal_to_noise import signal_to_noise
from models.spectrum_model import SpectrumModel
from models.weights import load_model

MODELS = ("desi-galaxy", "sdss-galaxy")
PIXELS = 13
TWO_CELLS = 24
"""Pixels that hold a whole cell of the narrowest ones in the scan, wherever they begin."""
FOUND = 0.01


@dataclass(frozen=True)
class Usual:
    """A shipped model, bright usual spectra and their tail probabilities."""

    model: SpectrumModel
    spectra: Spectra
    tail: NDArray[np.float32]


@cache
def usual(name: str) -> Usual:
    model = load_model(name)
    held_out = held_out_spectra(model.card, HeldOutSettings(24, 11, population="plain"))
    spectra = Spectra.concatenate(model.card.grid, [each.spectrum for each in held_out])
    spectra = spectra.take(np.flatnonzero(spectra.rows["snr"] > 9)[:6])
    tail = tails(model, spectra)
    assert tail.min() > 2 * FOUND
    return Usual(model, spectra, tail)


def tails(model: SpectrumModel, spectra: Spectra) -> NDArray[np.float32]:
    """From the spectra as read: what normalising does to them counts, too."""
    normalised = normalise(spectra, model.card, ())
    assert normalised.scorable.all()
    flux, ivar = torch.from_numpy(normalised.flux), torch.from_numpy(normalised.ivar)
    redshift = np.ascontiguousarray(normalised.rows["redshift"])
    with torch.no_grad():
        score = model.outputs(flux, ivar, torch.from_numpy(redshift)).score.numpy()
    return model.tail_probability(score, signal_to_noise(flux, ivar), redshift)


def moved(
    spectra: Spectra, first: NDArray[np.int64], errors: float, sigma: float, pixels: int = PIXELS
) -> Spectra:
    """From pixel ``first`` (n,) on, errors of so many median errors at least, and flux moved by ``sigma``."""
    flux, ivar = spectra.flux.copy(), spectra.ivar.copy()
    for row, start in enumerate(first.tolist()):
        part = slice(start, start + pixels)
        median = 1 / np.median(np.sqrt(ivar[row][ivar[row] > 0]))
        ivar[row, part] = np.minimum(ivar[row, part], (errors * median) ** -2)
        known = ivar[row, part] > 0
        flux[row, part][known] += sigma / np.sqrt(ivar[row, part][known])
    return replace(spectra, flux=flux, ivar=ivar)


def places(spectra: Spectra, share: float) -> NDArray[np.int64]:
    """A place at that share of every spectrum's good pixels."""
    where = [np.flatnonzero(row > 0) for row in spectra.ivar]
    return np.array([good[int(share * (len(good) - PIXELS))] for good in where])


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=10, deadline=None)
@given(
    share=st.floats(0, 1),
    errors=st.floats(0, 4).map(lambda power: 10**power),
    sigma=st.floats(-0.3, 0.3),
)
def test_a_move_within_the_error_moves_no_tail(name: str, share: float, errors: float, sigma: float) -> None:
    """1 sigma in all, wherever it is. In the window of the normalisation it shifts the median, too."""
    given_ = usual(name)
    first = places(given_.spectra, share)
    found, still = (tails(given_.model, moved(given_.spectra, first, errors, each)) for each in (sigma, 0.0))
    assert np.abs(np.log(found / still)).max() < 0.5


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sigma", [-8.0, 8.0])
def test_far_outside_large_errors_flux_is_found_if_they_fill_a_cell(name: str, sigma: float) -> None:
    given_ = usual(name)
    first = places(given_.spectra, 0.8)
    found = {
        errors: tails(given_.model, moved(given_.spectra, first, errors, sigma, TWO_CELLS))
        for errors in (1.0, 20.0, 1000.0)
    }
    for tail in found.values():
        assert (tail < FOUND).mean() >= 5 / 6
    np.testing.assert_allclose(np.log(found[1000.0]), np.log(found[20.0]), atol=0.1)


@pytest.mark.parametrize("name", MODELS)
def test_a_pixel_of_infinite_error_is_a_masked_one(name: str) -> None:
    given_ = usual(name)
    first = places(given_.spectra, 0.5)
    masked = moved(given_.spectra, first, np.inf, 0.0)
    hardly_known = moved(given_.spectra, first, 1e4, 0.0)
    # Intervals of flux over error count the pixel among theirs, and find nothing in it.
    np.testing.assert_allclose(
        np.log(tails(given_.model, hardly_known)), np.log(tails(given_.model, masked)), atol=0.15
    )
