"""The usual misfit: its modes are found behind noise and gaps, in the rest frame."""

from __future__ import annotations

import math

import numpy as np
import torch

from models.scoring.residual_factors import ResidualFactors, fit_modes, on_rest_grid


def made(count: int = 400, pixels: int = 120) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two modes, of differing strength, behind noise that differs from spectrum to spectrum, with gaps."""
    generator = torch.Generator().manual_seed(4)
    place = torch.arange(pixels) / pixels
    modes = torch.stack((torch.exp(-0.5 * ((place - 0.3) / 0.05) ** 2), 0.5 * torch.sin(9 * place)), dim=1)
    sigma = 0.05 + 0.3 * torch.rand(count, 1, generator=generator)
    noise = sigma * torch.randn(count, pixels, generator=generator)
    residual = torch.randn(count, 2, generator=generator) @ modes.T + noise
    weight = (1 / sigma**2).expand(-1, pixels) * (torch.rand(count, pixels, generator=generator) > 0.3)
    return torch.where(weight > 0, residual, 0.0), weight, modes


def test_modes_span_what_made_the_residuals() -> None:
    residual, weight, modes = made()
    found = fit_modes(residual, weight, 2, rounds=30, seed=1)
    # Modes are known up to a rotation: what counts is the covariance they make.
    torch.testing.assert_close(found @ found.T, modes @ modes.T, rtol=0, atol=0.2)
    error = torch.linalg.norm(found @ found.T - modes @ modes.T) / torch.linalg.norm(modes @ modes.T)
    assert error < 0.12


def test_more_modes_than_there_are_stay_faint() -> None:
    residual, weight, modes = made()
    found = fit_modes(residual, weight, 6, rounds=30, seed=1)
    singular = torch.linalg.svdvals(found)
    assert singular[2:].max() < 0.2 * singular[1]
    assert singular[1] > 0.6 * torch.linalg.svdvals(modes)[1]


def test_what_lies_behind_a_mask_changes_nothing() -> None:
    residual, weight, _ = made()
    garbage = torch.where(weight > 0, residual, 1e6)
    place = torch.arange(120.0, dtype=torch.float64).expand(len(residual), -1)
    for found, known in zip(
        on_rest_grid(garbage, weight, place, 120), on_rest_grid(residual, weight, place, 120), strict=True
    ):
        assert torch.equal(found, known)


def test_information_is_kept_on_the_rest_grid() -> None:
    """A finer grid has less information in each pixel, not more in all."""
    place = torch.linspace(20.0, 379.0, 90, dtype=torch.float64)[None]
    ivar = torch.rand(1, 90, generator=torch.Generator().manual_seed(0)) + 0.5
    _, weight = on_rest_grid(torch.zeros(1, 90), ivar, place, 400)
    assert (weight[0, :20] == 0).all()
    assert (weight[0, 380:] == 0).all()
    # Each end pixel is taken by half as many as others.
    inner = float(ivar.sum() - 0.5 * (ivar[0, 0] + ivar[0, -1]))
    assert np.isclose(float(weight.sum()), inner, rtol=0.02)


def test_modes_move_with_the_redshift() -> None:
    misfit = ResidualFactors(50, 1)
    misfit.modes[:, 0] = torch.arange(50.0)
    left = torch.tensor([[3, 10], [4, 11]])
    fraction = torch.tensor([[0.25, 0.5], [0.0, 0.75]])
    expected = torch.tensor([[3.25, 10.5], [4.0, 11.75]])
    placed = misfit(left, fraction).times(torch.ones(2, 1, 1), torch.ones(2, 2))
    torch.testing.assert_close(placed[..., 0], expected)


def test_with_few_degrees_of_freedom_no_mode_serves_few_spectra() -> None:
    """Of 400 spectra four share a loud oddity: a normal law gives it a mode, a t law does not."""
    residual, weight, modes = made()
    odd = torch.zeros(120)
    odd[20:30] = 6.0
    residual[::100] = torch.where(weight[::100] > 0, residual[::100] + odd, 0.0)
    known = (odd @ modes).square().sum()
    excess = []
    for freedom in (math.inf, 4.0):
        found = fit_modes(residual, weight, 3, rounds=30, seed=1, freedom=freedom)
        excess.append(float(((odd @ found).square().sum() - known) / odd.square().sum()))
        wanted = modes.T @ modes
        error = torch.linalg.norm(modes.T @ found @ found.T @ modes - wanted @ wanted)
        assert error < 0.35 * torch.linalg.norm(wanted @ wanted)
    assert excess[0] > 2.0
    assert excess[1] < 0.1 * excess[0]
