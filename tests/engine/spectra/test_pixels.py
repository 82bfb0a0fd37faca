"""Masking by bits, and medians and windows found quickly, against the plain way."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spectra.normalisation import normalise
from engine.spectra.pixels import is_zero, keep
from engine.spectra.rows import Rows
from engine.spectra.spectra import Spectra
from models.model_card import ModelCard
from models.row_status import RowStatus
from models.weights import load_model


def test_what_is_not_kept_becomes_zero_whatever_it_was() -> None:
    values = np.array([[1.5, np.nan, np.inf, -np.inf, -0.0, -2.5, np.nan, 3e38]], dtype=np.float32)
    good = np.array([[1, 0, 0, 0, 0, 1, 1, 1]], dtype=bool)
    expected = np.where(good, values, np.float32(0))
    keep(values, good)
    assert values.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [">i4", "<i4", ">u4", "u1", ">i2", ">i8"])
def test_zeros_of_a_mask_do_not_depend_on_its_bytes(dtype: str) -> None:
    mask = np.array([[0, 1, 2, 0, 100]]).astype(dtype)
    assert is_zero(mask).tolist() == [[True, False, False, True, False]]


@functools.cache
def shipped_card() -> ModelCard:
    return load_model("desi-galaxy").card


@given(seed=st.integers(0, 10_000), good=st.floats(0, 1), low=st.floats(3000, 9000), width=st.floats(0, 3000))
def test_normalisation_is_that_of_the_plain_way(seed: int, good: float, low: float, width: float) -> None:
    card = dataclasses.replace(shipped_card(), normalisation_min=low, normalisation_max=low + width)
    random = np.random.default_rng(seed)
    count, size = 5, card.grid.size
    rows = Rows.empty(count)
    rows.data["status"] = RowStatus.SCORED
    rows.data["redshift"] = [0.0, 0.3, -1.0, np.nan, random.uniform(-2, 2)]
    # Whole steps of the grid: ends of windows that fall on pixels.
    rows.data["redshift"][1] = card.grid.wavelength()[random.integers(size)] / low - 1
    ivar = (random.uniform(size=(count, size)) < good).astype(np.float32) * np.float32(2)
    flux = np.where(ivar > 0, random.normal(1, 1, ivar.shape), 0).astype(np.float32)
    result = normalise(Spectra(card.grid, flux, ivar, rows), card, ())
    for row in range(count):
        median, inside = plain_median(card, flux[row], ivar[row], float(rows["redshift"][row]))
        if result.scorable[row]:
            assert result.normalisation[row] == median
            assert inside >= 20
            assert result.flux[row].tobytes() == (flux[row] / median).tobytes()
            assert result.ivar[row].tobytes() == (ivar[row] * np.square(median)).tobytes()
        else:
            assert not result.good[row].any()
            assert not result.flux[row].any()
            assert np.isnan(result.normalisation[row])


def plain_median(
    card: ModelCard, flux: np.ndarray, ivar: np.ndarray, redshift: float
) -> tuple[np.float32, int]:
    if not 1 + redshift > 0:
        return np.float32(np.nan), 0
    rest = card.grid.wavelength() / (1 + redshift)
    inside = (ivar > 0) & (rest >= card.normalisation_min) & (rest <= card.normalisation_max)
    values = np.sort(flux[inside])
    if not len(values):
        return np.float32(np.nan), 0
    low, high = values[(len(values) - 1) // 2], values[len(values) // 2]
    return np.float32(np.float32(0.5) * low + np.float32(0.5) * high), len(values)
