"""Estimates of the model that ships: true within their errors where something is injected at 30 sigma.

``python -m tests.models.causes.test_estimates_of_shipped_models`` prints the table of docs/numbers.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.causes.gas_lines import SPEED_OF_LIGHT
from models.scoring.scoring_model import ScoringModel
from models.weights import load_model

ERROR, SIGMA = 0.1, 30.0
EDGE = 7570.0
FLUXES = {3728.5: 2.0, 4862.7: 1.0, 5008.2: 1.5, 6564.6: 3.0}
Floats = NDArray[np.float64]


def lines(wavelength: Floats, shift: float, width: float, fluxes: dict[float, float]) -> Floats:
    """Gaussians of FWHM ``width`` km/s, each at its rest wavelength times ``shift``."""
    sigma = width / 2.3548 / SPEED_OF_LIGHT
    rest = np.array(list(fluxes))[:, None] * shift
    return np.array(list(fluxes.values())) @ np.exp(-0.5 * ((wavelength / rest - 1) / sigma) ** 2)


def injections(
    random: np.random.Generator, wavelength: Floats, usual: Floats, redshift: float
) -> Iterator[tuple[str, dict[str, float], Floats]]:
    """Cause, true quantities, and what is added to the usual spectrum (N,), one of each kind."""
    own, other = 1 + redshift, 1 + redshift
    while abs(np.log(other / own)) < 0.006:
        other = 1 + random.uniform(0.0, 0.8)
    yield "second_redshift", {"redshift": other - 1}, lines(wavelength, other, 200.0, FLUXES)
    velocity, width = random.uniform(-5000, 5000), random.uniform(3000, 6200)
    broad = {4862.7: 1.0, 6564.6: 3.1}
    at = own * (1 + velocity / SPEED_OF_LIGHT)
    yield "broad_lines", {"velocity": velocity, "width": width}, lines(wavelength, at, width, broad)
    split = random.uniform(320, 570)
    sides = [own * (1 + side * split / SPEED_OF_LIGHT) for side in (-0.5, 0.5)]
    two = sum(lines(wavelength, each, 235.0, FLUXES) for each in sides)
    yield "split_lines", {"velocity": split}, two - 0.7 * lines(wavelength, own, 235.0, FLUXES)
    for cause in ("dead_interval", "trough"):
        centre, wide = random.uniform(4200, 9200), np.exp(random.uniform(np.log(60), np.log(350)))
        away = np.abs(wavelength - centre)
        # The trough is half as deep where the dead interval ends.
        shape = away < wide / 2 if cause == "dead_interval" else np.exp(-np.log(2) * (2 * away / wide) ** 4)
        yield cause, {"wavelength": centre, "width": SPEED_OF_LIGHT * wide / centre}, -usual * shape
    step = random.uniform(0.03, 0.12)
    yield "arm_step", {"percent": 100 * step}, step * usual * (wavelength > EDGE)


def measured(count: int, seed: int) -> dict[tuple[str, str], Floats]:
    """Estimate less truth, and error, (n, 2), by cause and quantity; of injections in noise-free spectra."""
    model = load_model("desi-galaxy").double()
    assert isinstance(model, ScoringModel)
    random, wavelength = np.random.default_rng(seed), model.card.grid.wavelength()
    ivar = torch.full((len(wavelength),), ERROR**-2, dtype=torch.float64)
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(count):
        redshift = float(random.uniform(0.05, 0.4))
        with torch.no_grad():
            usual = model.baselines(redshift, random.integers(model.calibration_size, size=1))[0].numpy()
        for cause, truth, added in injections(random, wavelength, usual, redshift):
            scale = 1.0 if cause == "arm_step" else SIGMA * ERROR / np.sqrt((added**2).sum())
            flux = torch.from_numpy(usual + scale * added + ERROR * random.standard_normal(len(wavelength)))
            with torch.no_grad():
                estimates = model.measurement(flux, ivar, redshift, cause).estimates
            for each in estimates:
                if (name := each.quantity.name) in truth:
                    found.setdefault((cause, name), []).append((each.value - truth[name], each.error))
    return {name: np.array(values) for name, values in found.items()}


def within(values: Floats, errors: float) -> float:
    """Share of estimates within so many of their errors."""
    return float((np.abs(values[:, 0]) < errors * values[:, 1]).mean())


@pytest.mark.slow
def test_estimates_are_true_within_two_errors_and_a_step_is_too_small() -> None:
    found = measured(20, seed=5)
    for name, values in found.items():
        if name != ("arm_step", "percent"):
            assert within(values, 2) >= 0.8, name
    # The reconstruction draws part of a step.
    assert np.median(found["arm_step", "percent"][:, 0]) < 0.5


if __name__ == "__main__":
    for (cause, quantity), values in measured(60, seed=17).items():
        off, error = np.median(values[:, 0] / values[:, 1]), np.median(values[:, 1])
        shares = " | ".join(f"{within(values, each):.0%}" for each in (1, 2, 3))
        sys.stdout.write(f"| `{cause}` | {quantity} | {error:.2g} | {shares} | {off:+.1f} |\n")
