"""redrock's fit of a simulated spectrum at a redshift: the best template, its coefficients and chi-square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.simulation.arms import Arm, Floats
from engine.simulation.redrock_templates import COEFFICIENTS, RedrockTemplate
from engine.simulation.spectrum import SimulatedSpectrum

DIAGONALS = 11
"""Of a resolution matrix."""


@dataclass(frozen=True)
class TemplateFit:
    """A template with the coefficients that draw a spectrum.

    Attributes
    ----------
    template : the template.
    coefficients : (COEFFICIENTS,) one for each component, then zeros.
    chi2 : of the fit, over all pixels with ``ivar`` > 0.
    """

    template: RedrockTemplate
    coefficients: Floats
    chi2: float


def best_fit(
    templates: Sequence[RedrockTemplate], spectrum: SimulatedSpectrum, redshift: float
) -> TemplateFit:
    """The one of ``templates`` that fits best; of those that cover the spectrum, if any does."""
    arms = spectrum.instrument.arms
    ends = (arms[0].edges(np.array([-0.5]))[0], arms[-1].edges(np.array([arms[-1].grid.size - 0.5]))[0])
    covering = [
        template
        for template in templates
        if template.basis.start <= ends[0] / (1 + redshift)
        and ends[1] / (1 + redshift) <= template.basis.stop
    ]
    fits = (_fit(template, spectrum, redshift) for template in covering or templates)
    return min(fits, key=lambda fit: fit.chi2)


def _fit(template: RedrockTemplate, spectrum: SimulatedSpectrum, redshift: float) -> TemplateFit:
    """Weighted least squares, by sums that do not depend on the machine's threads."""
    count = len(template.basis.integral)
    curvature, slope, total = np.zeros((count, count)), np.zeros(count), 0.0
    for arm, data in zip(spectrum.instrument.arms, spectrum.arms, strict=True):
        model, weight, flux = _components(template, arm, redshift), data.ivar.astype(float), data.flux
        weighted = model * weight
        curvature += np.einsum("ip,jp->ij", weighted, model)
        slope += np.einsum("ip,p->i", weighted, flux)
        total += float(np.sum(weight * flux.astype(float) ** 2))
    # A component that the spectrum does not show gets nothing.
    found = np.linalg.lstsq(curvature, slope, rcond=1e-10)[0]
    coefficients = np.zeros(COEFFICIENTS)
    coefficients[:count] = found.astype(np.float32)  # more digits differ between machines
    return TemplateFit(template, coefficients, float(total - slope @ found))


def _components(template: RedrockTemplate, arm: Arm, redshift: float) -> Floats:
    """The template's components in an arm's pixels, seen through its resolution matrix."""
    edges = arm.edges(np.arange(arm.grid.size + 1, dtype=np.float64) - 0.5) / (1.0 + redshift)
    weights = resolution_weights(arm)
    return np.stack([np.convolve(one, weights, mode="same") for one in template.basis.means(edges)])


def resolution_weights(arm: Arm) -> Floats:
    """The line-spread function on the diagonals of an arm's resolution matrix; they sum to 1."""
    offsets = DIAGONALS // 2 - np.arange(DIAGONALS)
    weights = np.exp(-0.5 * (offsets / arm.lsf_sigma) ** 2)
    return np.asarray(weights / weights.sum())
