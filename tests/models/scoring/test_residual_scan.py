"""The scan of the residual: what it says of pure noise, of an addition, of what the modes explain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.grid import WavelengthGrid
from models.scoring.placed_modes import PlacedModes
from models.scoring.residual_scan import (
    BEND,
    SHRINKAGE,
    ResidualScan,
    cell_means,
    evidence,
    excitation,
    fit_misfit,
)

GRID = WavelengthGrid("test", "linear", 4000.0, 2.0, 700)
WIDTHS = ((8, 8), (64, 32))


def made(
    count: int, modes: int = 2, seed: int = 0
) -> tuple[ResidualScan, torch.Tensor, torch.Tensor, PlacedModes]:
    """A scan without misfit of its own, ivar, redshifts and modes, which are alike on all pixels."""
    generator = torch.Generator().manual_seed(seed)
    scan = ResidualScan(GRID, 0.3, WIDTHS)
    scan.log_misfit.fill_(-20.0)
    ivar = 4.0 + 20 * torch.rand(count, GRID.size, generator=generator)
    ivar[torch.rand(count, GRID.size, generator=generator) < 0.1] = 0
    redshift = 0.3 * torch.rand(count, generator=generator, dtype=torch.float64)
    place = torch.linspace(0, 3, GRID.size + 1)
    shapes = torch.stack([torch.sin((2 + k) * place) for k in range(modes)], dim=-1)
    left = torch.arange(GRID.size).expand(count, -1)
    return scan, ivar, redshift, PlacedModes(0.2 * shapes, left, torch.zeros(left.shape))


def noise(ivar: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(ivar.shape, generator=generator) * ivar.clamp_min(1e-6).rsqrt() * (ivar > 0)


def ratio(significance: torch.Tensor, log_prior: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(log_prior + evidence(significance), dim=-1)


def test_significances_equal_the_dense_covariance_in_float64() -> None:
    """C^-1 r and its variance, with C written out as a matrix."""
    scan, ivar, redshift, modes = made(3)
    ivar = ivar.clamp_min(0.5)  # a matrix to be inverted
    residual = noise(ivar, 1)
    scan, ivar, residual = scan.double(), ivar.double(), residual.double()
    modes = PlacedModes(modes.modes.double(), modes.left, modes.fraction.double())
    found = scan(residual, scan.context(ivar, redshift, modes))
    cells = np.array(
        [[a <= i < b for i in range(GRID.size)] for a, b in zip(scan.starts, scan.stops, strict=True)]
    )
    for row in range(3):
        u = modes.modes[:-1].numpy()
        inverse = np.linalg.inv(np.diag(1 / ivar[row].numpy()) + u @ u.T)
        sums = cells @ inverse @ residual[row].numpy()
        information = np.diag(cells @ inverse @ cells.T)
        np.testing.assert_allclose(found.cells[row], sums / np.sqrt(information), rtol=1e-6, atol=1e-8)
        strength = u.T @ (ivar[row].numpy() * residual[row].numpy())
        product = u.T @ (ivar[row].numpy()[:, None] * u)
        whole = strength @ np.linalg.solve(product + product @ product, strength)
        assert float(excitation(found.modes[row])) == pytest.approx(0.5 * whole, rel=1e-4)


def test_usual_residuals_have_unit_significances() -> None:
    """Noise and modes of unit strength: cells and modes are standard normal."""
    scan, ivar, redshift, modes = made(400)
    strength = torch.randn(400, 2, generator=torch.Generator().manual_seed(2))
    residual = noise(ivar, 3) + strength @ modes.modes[:-1].T
    found = scan(residual, scan.context(ivar, redshift, modes))
    assert float(found.cells.square().mean()) == pytest.approx(1.0, abs=0.02)
    assert float(found.modes.square().mean()) == pytest.approx(1.0, abs=0.1)


def test_an_addition_is_as_significant_as_it_is() -> None:
    """A top hat shifts its cell's significance by its strength, less what modes could explain."""
    scan, ivar, redshift, modes = made(50)
    context = scan.context(ivar, redshift, modes)
    cell = 30
    inside = torch.zeros(GRID.size)
    inside[scan.starts[cell] : scan.stops[cell]] = 1
    total = (ivar * inside).sum(dim=1)
    residual = noise(ivar, 5)
    added = residual + 9 * inside / total.clamp_min(1e-6).sqrt()[:, None]
    shift = (scan(added, context).cells - scan(residual, context).cells)[:, cell]
    assert (shift <= 9 + 1e-3).all()
    assert float(shift.median()) > 8.5
    before, after = (ratio(scan(each, context).cells, context.log_prior) for each in (residual, added))
    assert (after - before > 12).float().mean() > 0.9


def test_masked_pixels_and_spectra_without_any_good_one() -> None:
    scan, ivar, redshift, modes = made(4)
    ivar[3] = 0
    residual = noise(ivar, 6)
    context = scan.context(ivar, redshift, modes)
    found = scan(residual, context)
    again = scan(torch.where(ivar > 0, residual, torch.nan), context)
    assert torch.equal(found.cells, again.cells)
    assert torch.equal(found.modes, again.modes)
    assert (found.cells[3] == 0).all()
    assert torch.isfinite(ratio(found.cells, context.log_prior)).all()
    # The shares of a width's usable cells sum to one.
    torch.testing.assert_close(context.log_prior.exp().sum(dim=1), torch.full((4,), len(scan.sizes) * 1.0))


def test_evidence_is_a_square_near_zero_and_a_line_far_out() -> None:
    small, far = torch.tensor([0.1]), torch.tensor([1000.0, 1001.0])
    assert float(evidence(small)) == pytest.approx(SHRINKAGE * 0.1**2 / 2, rel=1e-3)
    assert float(evidence(far).diff()) == pytest.approx(SHRINKAGE * BEND, rel=1e-3)
    assert torch.equal(evidence(-far), evidence(far))


def test_the_misfit_is_learnt_where_it_is() -> None:
    """A model error at one rest wavelength is known there, and little elsewhere."""
    scan, ivar, redshift, modes = made(600)
    generator = torch.Generator().manual_seed(8)
    rest = torch.from_numpy(GRID.wavelength())[None] / (1 + redshift[:, None])
    bump = torch.exp(-0.5 * ((rest - 4200) / 6) ** 2).float()
    residual = noise(ivar, 9) + 0.6 * torch.randn(600, 1, generator=generator) * bump
    fit_misfit(scan, cell_means(scan, residual, ivar, redshift, modes), rounds=400)
    nodes = (np.log10([4200.0, 4600.0]) - scan.first_node) / 0.002
    there, elsewhere = (float(scan.log_misfit[0, round(node)].exp()) for node in nodes)
    assert there > 0.1
    assert elsewhere < 0.3 * there
    context = scan.context(ivar, redshift, modes)
    significance = scan(residual, context).cells
    assert float(significance.abs().quantile(0.999)) < 8
