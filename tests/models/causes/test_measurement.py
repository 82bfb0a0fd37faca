"""Measurements of causes: exact against sums by hand, and true within their errors of what is injected."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.causes.estimate import Estimate
from models.causes.measurement import best_template, estimates
from models.causes.names import TEMPLATE_CAUSES
from models.causes.quantities import PERCENT, QUANTITIES, WAVELENGTH, Quantity
from models.causes.template_bank import WrittenBank
from models.causes.whitened import WhitenedResidual
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import SpectrumModel
from tests.models.causes.test_banks import BANKS, EDGES, REDSHIFT, spectrum
from tests.models.causes.test_banks import WAVELENGTH as PIXELS
from tests.models.local.linear_model import LinearModel

SPEED = 299792.458


class FewTemplates(WrittenBank):
    """Given templates, with one quantity."""

    quantities = (WAVELENGTH,)
    relative = True

    def __init__(self, rows: torch.Tensor, places: list[float]) -> None:
        super().__init__()
        self.rows_given, self.places = rows, places

    def templates(self, spectrum: WhitenedResidual) -> torch.Tensor:  # noqa: ARG002
        return self.rows_given

    def values(self, spectrum: WhitenedResidual) -> torch.Tensor:  # noqa: ARG002
        return torch.tensor(self.places, dtype=torch.float64)[:, None]


def white(residual: list[float]) -> WhitenedResidual:
    """Of unit errors, without modes."""
    values = torch.tensor(residual, dtype=torch.float64)
    none, ones = values.new_zeros(len(values), 1), torch.ones_like(values)
    return WhitenedResidual(values, ones, none, ones, values.new_tensor(0.1))


def measured(name: str, added: torch.Tensor, seed: int = 0) -> dict[str, Estimate]:
    given = spectrum(added=added, seed=seed)
    found = estimates(BANKS[name], BANKS[name].search(given), given)
    return {each.quantity.name: each for each in found}


def lines(redshift: float, width: float, shift: float, fluxes: dict[float, float]) -> torch.Tensor:
    """Gaussians of FWHM ``width`` km/s at ``shift`` km/s, of ``fluxes`` by rest wavelength."""
    added = torch.zeros_like(PIXELS)
    for rest, flux in fluxes.items():
        centre = rest * (1 + redshift) * (1 + shift / SPEED)
        sigma = centre * width / 2.3548 / SPEED
        added += flux * torch.exp(-0.5 * ((PIXELS - centre) / sigma) ** 2)
    return added


def at_sigma(added: torch.Tensor, sigma: float) -> torch.Tensor:
    """So strong that one who knows it sees it at ``sigma``."""
    given = spectrum()
    of_modes = added @ given.weighted_modes
    return added * sigma / (added.square() @ given.weight - of_modes @ of_modes).sqrt()


def test_an_estimate_is_the_mean_over_the_templates_around_the_best_one() -> None:
    """Unit templates of significances 2, 3, 2.5, 2.8: the last is another mode, as what is between falls."""
    found = FewTemplates(torch.eye(4, dtype=torch.float64), [10.0, 11.0, 13.0, 14.0])
    given = white([2.0, 3.0, 2.5, 2.8])
    weight = np.exp(0.5 * np.square([2.0, 3.0, 2.5]))
    weight /= weight.sum()
    place, share = estimates(found, found.search(given), given)
    mean = float(weight @ [10.0, 11.0, 13.0])
    spread = float(weight @ np.square(np.array([10.0, 11.0, 13.0]) - mean))
    assert (place.quantity, place.value) == (WAVELENGTH, pytest.approx(mean, rel=1e-12))
    # The steps on both sides of the best template are 1 and 2.
    assert place.error == pytest.approx(math.sqrt(spread + 1.5**2 / 12), rel=1e-12)
    amplitude = float(weight @ [2.0, 3.0, 2.5])
    scatter = float(weight @ np.square(np.array([2.0, 3.0, 2.5]) - amplitude))
    assert (share.quantity, share.value) == (PERCENT, pytest.approx(100 * amplitude, rel=1e-12))
    assert share.error == pytest.approx(100 * math.sqrt(scatter + 1), rel=1e-12)


def test_templates_of_the_other_sign_are_another_mode() -> None:
    found = FewTemplates(torch.eye(2, dtype=torch.float64), [10.0, 11.0])
    given = white([-2.9, 3.0])
    assert estimates(found, found.search(given), given)[0].value == 11.0


def test_the_best_template_is_scaled_to_the_least_squares_fit() -> None:
    row = torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    bank, given = FewTemplates(row, [10.0]), white([2.0, 3.0, 9.0])
    template = best_template(bank, bank.search(given), given)
    assert template is not None
    torch.testing.assert_close(template, row[0] * 8 / 5)


@pytest.mark.parametrize("name", TEMPLATE_CAUSES)
def test_the_best_template_takes_off_what_is_injected(name: str) -> None:
    """With modes and unequal errors, to the noise of one amplitude."""
    bank, given = BANKS[name], spectrum()
    before = bank.search(given)
    usable = torch.nonzero(before.usable)[:, 0]
    row = at_sigma(bank.rows(usable[len(usable) // 2][None], given)[0], 60)
    given = spectrum(added=row)
    template = best_template(bank, bank.search(given), given)
    assert template is not None
    left = row - template
    of_modes = left @ given.weighted_modes
    missed = float((left.square() @ given.weight - of_modes @ of_modes).sqrt())
    # The most significant template may be the neighbour of the true one.
    assert missed < (0.55 if name in ("sky_residuals", "second_redshift", "noisy_interval") else 0.1) * 60


@pytest.mark.parametrize("name", TEMPLATE_CAUSES)
def test_every_template_has_finite_values_of_known_quantities(name: str) -> None:
    bank, given = BANKS[name], spectrum()
    values = bank.values(given)
    assert not bank.quantities or values.shape == (len(bank.search(given).usable), len(bank.quantities))
    assert values.isfinite().all()
    assert {each.name for each in bank.quantities} <= set(QUANTITIES)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("redshift", [0.07, 0.4137, 0.522])
def test_a_second_redshift_is_measured_within_three_of_its_errors(redshift: float, seed: int) -> None:
    fluxes = {3728.48: 3.0, 4862.68: 1.0, 5008.24: 1.5, 6564.61: 3.0, 6585.27: 0.5}
    added = at_sigma(lines(redshift, 200.0, 0.0, fluxes), 30)
    found = measured("second_redshift", added, seed)["redshift"]
    assert abs(found.value - redshift) < 3 * found.error
    assert found.error < 4e-4


@pytest.mark.parametrize("seed", range(4))
def test_broad_lines_are_measured_within_three_of_their_errors(seed: int) -> None:
    added = at_sigma(lines(REDSHIFT, 4600.0, -2300.0, {6564.61: 3.1, 4862.68: 1.35, 4341.68: 0.68}), 30)
    found = measured("broad_lines", added, seed)
    assert abs(found["velocity"].value + 2300.0) < 3 * found["velocity"].error
    assert abs(found["width"].value - 4600.0) < 3 * found["width"].error
    assert found["velocity"].error < 500
    assert found["width"].error < 1000


@pytest.mark.parametrize("seed", range(4))
def test_a_pixel_and_a_noisy_interval_are_measured_where_they_are(seed: int) -> None:
    added = torch.zeros_like(PIXELS)
    added[4321] = 8.0
    found = measured("single_pixels", added, seed)["wavelength"]
    assert found.value == pytest.approx(float(PIXELS[4321]), abs=1e-6)
    assert found.error == pytest.approx(0.8 / math.sqrt(12), rel=1e-3)
    added[4000:4006] = 3.0
    added[4321] = 0.0
    noisy = measured("noisy_interval", added, seed)["wavelength"]
    assert abs(noisy.value - float(PIXELS[4000:4006].mean())) < 3 * noisy.error
    assert noisy.error < 3.0


def test_an_arm_step_is_measured_in_per_cent_of_the_reconstruction() -> None:
    given = spectrum()
    added = torch.where(EDGES[1] < PIXELS, 0.06, 0.0) * given.reconstruction
    found = [measured("arm_step", added, seed) for seed in range(6)]
    off = [(each["percent"].value - 6.0) / each["percent"].error for each in found]
    assert max(map(abs, off)) < 4
    # The middle of the arm.
    assert {each["wavelength"].value for each in found} == {0.5 * (EDGES[1] + float(PIXELS[-1]))}
    assert {each["wavelength"].error for each in found} == {0.0}


def test_an_error_is_the_scatter_of_what_is_measured() -> None:
    """Of the amplitude over 40 noises, within the sampling error of a standard deviation."""
    added = torch.where(EDGES[0] > PIXELS, 0.3, 0.0) * spectrum().reconstruction
    found = [measured("arm_step", added, seed)["percent"] for seed in range(40)]
    scatter = np.std([each.value for each in found])
    assert scatter == pytest.approx(float(np.mean([each.error for each in found])), rel=0.4)


def test_a_model_measures_the_named_cause_and_says_what_it_cannot_test(tiny_model: ScoringModel) -> None:
    model = tiny_model.double()
    flux = model.baselines(0.2, np.array([3]))[0].double()
    ivar = torch.full_like(flux, 400.0)
    flux[4321] += 5.0
    found = model.measurement(flux, ivar, 0.2, "single_pixels")
    assert found.template is not None
    assert torch.nonzero(found.template)[:, 0].tolist() == [4321]
    (place,) = found.estimates
    assert place.value == pytest.approx(float(PIXELS[4321]))
    assert found.not_testable == ()
    unknown = model.measurement(flux, ivar, 0.2, "unknown")
    assert (unknown.template, unknown.estimates) == (None, ())
    # The red half only: the first arm cannot be compared with anything.
    ivar[:] = 0.0
    ivar[100:110] = 400.0
    left = model.measurement(flux, ivar, 0.2, "broad_lines")
    assert (left.template, left.estimates) == (None, ())
    assert "broad_lines" in left.not_testable
    assert "single_pixels" not in left.not_testable


def test_a_model_that_looks_for_no_causes_measures_nothing() -> None:
    model: SpectrumModel = LinearModel()
    found = model.measurement(torch.zeros(40), torch.ones(40), 0.1, "unknown")
    assert (found.template, found.estimates, found.not_testable) == (None, (), ())


def test_quantities_are_named_once() -> None:
    assert all(isinstance(each, Quantity) and each.name == name for name, each in QUANTITIES.items())
