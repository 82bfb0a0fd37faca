"""The banks of templates: exact, of unit variance in noise, most significant where they are true."""

from __future__ import annotations

import math

import pytest
import torch

from engine.surveys.desi.grid import DESI_GRID
from models.causes.bank import cause_banks
from models.causes.names import ANOTHER_CLASS, CAUSES, REALMS, TEMPLATE_CAUSES, WRONG_REDSHIFT
from models.causes.template_bank import TemplateBank
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid

EDGES = (5780.0, 7570.0)
WAVELENGTH = torch.from_numpy(DESI_GRID.wavelength())
REDSHIFT = 0.2
MODES = 3


def spectrum(
    added: torch.Tensor | None = None, seed: int = 0, redshift: float = REDSHIFT
) -> WhitenedResidual:
    """Noise of unequal errors, smooth modes of unit strength, masked pixels, and what is ``added`` (N,)."""
    generator = torch.Generator().manual_seed(seed)
    pixels = DESI_GRID.size
    weight = 25 * (0.3 + torch.rand(pixels, generator=generator, dtype=torch.float64))
    weight[torch.rand(pixels, generator=generator) < 0.02] = 0
    place = torch.linspace(0, 1, pixels, dtype=torch.float64)[:, None]
    modes = 0.05 * torch.cos(math.pi * place * torch.arange(1, MODES + 1))
    noise = torch.randn(pixels, generator=generator, dtype=torch.float64)
    residual = torch.where(weight > 0, noise / weight.clamp_min(1e-9).sqrt(), 0.0)
    residual = residual + modes @ torch.randn(MODES, generator=generator, dtype=torch.float64)
    residual = residual + (0 if added is None else added)
    weighted = weight[:, None] * modes
    gain = torch.linalg.inv(torch.eye(MODES, dtype=torch.float64) + modes.T @ weighted)
    known = torch.where(weight > 0, residual, 0.0)
    filtered = weight * known - weighted @ (gain @ (weighted.T @ known))
    whitened = weight.sqrt()[:, None] * modes @ torch.linalg.cholesky(gain)
    reconstruction = 1 + 0.2 * torch.sin(6 * place[:, 0])
    at = torch.tensor(redshift, dtype=torch.float64)
    return WhitenedResidual(filtered, weight, whitened, reconstruction, at)


def banks() -> dict[str, TemplateBank]:
    made = cause_banks(DESI_GRID, EDGES).double()
    return {name: bank for name, bank in made.items() if isinstance(bank, TemplateBank)}


BANKS = banks()
FEW = ("arm_step", "split_lines", "telluric", "unusual_lines", "missing_lines", "calibration_wave")
"""Banks of so few templates, or of such like ones, that their mean square scatters."""


@pytest.mark.parametrize("name", TEMPLATE_CAUSES)
def test_significance_is_that_of_the_written_template(name: str) -> None:
    """t' C^-1 r over the norm, from rows (M, N); and the norm is t' C^-1 t where nothing is left out."""
    found, given = BANKS[name].search(spectrum()), spectrum()
    usable = torch.nonzero(found.usable)[:, 0]
    chosen = usable[torch.linspace(0, len(usable) - 1, min(len(usable), 40)).long()]
    rows = BANKS[name].rows(chosen, given)
    along = rows @ given.filtered
    torch.testing.assert_close(found.significance[chosen] * found.norm[chosen], along, rtol=1e-9, atol=1e-9)
    of_modes = rows @ given.weighted_modes
    exact = (rows.square() @ given.weight - of_modes.square().sum(dim=1)).sqrt()
    if name == "noisy_interval":
        assert (found.norm[chosen] > exact).all()  # what the model is wrong by
    elif name == "second_redshift":
        # Modes are left out, and lines that overlap count as apart.
        torch.testing.assert_close(found.norm[chosen], exact, rtol=0.25, atol=0)
    else:
        torch.testing.assert_close(found.norm[chosen], exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", TEMPLATE_CAUSES)
def test_noise_and_usual_misfit_have_unit_variance_at_most(name: str) -> None:
    found = [BANKS[name].search(spectrum(seed=seed)) for seed in range(12)]
    values = torch.cat([each.significance[each.usable] for each in found])
    assert float(values.square().mean()) < (3.0 if name in FEW else 1.15)
    assert float(values.square().mean()) > 0.1


@pytest.mark.parametrize("name", TEMPLATE_CAUSES)
def test_a_planted_template_is_the_most_significant_one_and_as_strong_as_it_is(name: str) -> None:
    given = spectrum()
    before = BANKS[name].search(given)
    usable = torch.nonzero(before.usable)[:, 0]
    chosen = usable[len(usable) // 2]
    row = BANKS[name].rows(chosen[None], given)[0]
    found = BANKS[name].search(spectrum(added=30 * row / before.norm[chosen]))
    assert float(found.significance[chosen] - before.significance[chosen]) == pytest.approx(30, rel=0.5)
    best = int(found.significance.abs().argmax())
    other = BANKS[name].rows(torch.tensor([best]), given)[0]
    alike = float((row * other * given.weight).sum())
    alike /= float((row.square() * given.weight).sum() * (other.square() * given.weight).sum()) ** 0.5
    assert abs(alike) > 0.9


def test_lines_at_a_second_redshift_are_found_there() -> None:
    bank, other = BANKS["second_redshift"], 0.41
    added = torch.zeros(DESI_GRID.size, dtype=torch.float64)
    for rest in (4862.68, 5008.24, 6564.61):
        added += 0.6 * torch.exp(-0.5 * ((WAVELENGTH - rest * (1 + other)) / 2.0) ** 2)
    found = bank.search(spectrum(added=added)).significance
    best = torch.arange(0.0, math.log1p(1.2), 120 / 299792.458)[int(found.argmax()) // 3]
    assert math.expm1(float(best)) == pytest.approx(other, abs=0.001)
    # Its own lines are no second redshift.
    own = ~bank.search(spectrum(redshift=other)).usable.view(-1, 3)[:, 0]
    assert own[int(found.argmax()) // 3]


def test_masked_pixels_and_blank_spectra() -> None:
    given = spectrum()
    dead = WhitenedResidual(
        torch.zeros_like(given.filtered), torch.zeros_like(given.weight), given.modes * 0,
        given.reconstruction, given.redshift,
    )  # fmt: skip
    for name, bank in BANKS.items():
        found = bank.search(dead)
        assert not found.usable.any(), name
        assert (found.significance == 0).all()
        assert (found.norm > 0).all()


def test_a_grid_without_sky_lines_or_arms_has_nothing_to_search() -> None:
    grid = WavelengthGrid("blue", "linear", 3700.0, 1.0, 200)
    made = cause_banks(grid, ())
    given = spectrum()
    few = WhitenedResidual(
        given.filtered[:200], given.weight[:200], given.modes[:200],
        given.reconstruction[:200], given.redshift,
    )  # fmt: skip
    for name in ("sky_residuals", "arm_step"):
        bank = made[name].double()
        assert isinstance(bank, TemplateBank)
        assert not bank.search(few).usable.any()


def test_every_cause_has_a_realm() -> None:
    assert set(REALMS) == set(CAUSES)
    assert set(TEMPLATE_CAUSES) == set(BANKS) == set(CAUSES) - {WRONG_REDSHIFT, ANOTHER_CLASS}
