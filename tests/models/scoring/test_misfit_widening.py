"""Misfit widening: badly drawn usual spectra do not set the tail of the well drawn ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.calibration.smooth_tail import SmoothTail
from models.scoring.misfit_widening import MisfitWidening

COUNT = 6000
RANDOM = np.random.default_rng(4)
MISFIT = RANDOM.exponential(size=COUNT)
BADLY_DRAWN = np.quantile(MISFIT, 0.9) < MISFIT


def standard_values() -> np.ndarray:
    """Two parts: one whose tail is the longer the worse a spectrum is drawn, one that does not care."""
    values = RANDOM.exponential(size=(COUNT, 2)) / np.log(10)
    values[:, 0] *= 1.0 + (MISFIT / 2) ** 2
    return values


def fitted(values: np.ndarray, first: int = 0) -> MisfitWidening:
    widening = MisfitWidening(2)
    widening.fit(values, MISFIT, first)
    return widening


def alike(widening: MisfitWidening, values: np.ndarray) -> np.ndarray:
    return widening(torch.from_numpy(values), torch.from_numpy(MISFIT)).numpy()


@pytest.mark.parametrize("badly_drawn", [False, True])
def test_false_alarms_are_as_stated_among_well_and_badly_drawn_spectra(badly_drawn: bool) -> None:
    values = standard_values()
    which = badly_drawn == BADLY_DRAWN
    found = alike(fitted(values), values)[:, 0]
    tails = np.exp(-SmoothTail.fit(found)(torch.from_numpy(found)).numpy())
    pooled = np.exp(-SmoothTail.fit(values[:, 0])(torch.from_numpy(values[:, 0])).numpy())
    assert np.mean(tails[which] < 0.01) == pytest.approx(0.01, abs=0.012 if badly_drawn else 0.003)
    # Without it nearly all false alarms are badly drawn, and the others are hardly ever selected.
    share = np.mean(pooled[which] < 0.01)
    assert share > 0.05 if badly_drawn else share < 0.005


def test_a_part_that_does_not_care_stays_what_it_is() -> None:
    values = standard_values()
    found = alike(fitted(values), values)[:, 1]
    np.testing.assert_allclose(found, values[:, 1], rtol=0.35, atol=0.1)
    below = values[:, 1] < 0.25
    np.testing.assert_allclose(found[below], values[below, 1], atol=0.01)


def test_parts_before_the_first_are_left_alone() -> None:
    values = standard_values()
    found = alike(fitted(values, first=1), values)
    np.testing.assert_array_equal(found[:, 0], values[:, 0])


@given(st.floats(-5, 100), st.floats(1e-6, 10), st.floats(-10, 50))
def test_it_rises_with_the_part_and_falls_with_the_misfit(value: float, more: float, misfit: float) -> None:
    widening = WIDENING
    at = torch.tensor([[value, value], [value + more, value + more], [value, value]], dtype=torch.float64)
    low, high, worse = widening(at, torch.tensor([misfit, misfit, misfit + more], dtype=torch.float64))
    assert (high > low).all()
    assert (worse <= low + 1e-12).all()


WIDENING = fitted(standard_values())


def test_an_unfitted_one_changes_nothing() -> None:
    values = torch.linspace(-3, 50, 20, dtype=torch.float64)[:, None].expand(-1, 2)
    assert torch.equal(MisfitWidening(2)(values, values[:, 0]), values)


def test_equal_misfits_are_no_error() -> None:
    widening = MisfitWidening(1)
    widening.fit(standard_values()[:, :1], np.ones(COUNT), 0)
    assert torch.isfinite(widening(torch.full((3, 1), 9.0).double(), torch.ones(3).double())).all()
