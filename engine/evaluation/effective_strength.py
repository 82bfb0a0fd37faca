"""Effective strength of what is injected: against noise and population, not noise alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.injected_spectra import CleanSpectra
from engine.evaluation.population import Population
from engine.simulation.anomalies import AnomalyKind

TEMPLATES: Mapping[AnomalyKind, int] = MappingProxyType(
    {
        AnomalyKind.TILT: 1,
        AnomalyKind.ARM_STEP: 3,
        AnomalyKind.DOUBLE_PEAKED_LINES: 16,
        AnomalyKind.SKY_RESIDUALS: 40,
        AnomalyKind.BROAD_SHIFTED_LINES: 60,
        AnomalyKind.P_CYGNI: 60,
        AnomalyKind.BROAD_ABSORPTION: 300,
        AnomalyKind.DEAD_REGION: 300,
        AnomalyKind.FRINGES: 300,
        AnomalyKind.TRIANGULAR_BUMP: 300,
        AnomalyKind.COSMIC_RAYS: 8000,
        AnomalyKind.SECOND_REDSHIFT: 8000,
    }
)
"""How many independent templates one must try who knows the shape of a kind, but not its place: places,
widths and redshifts, roughly counted. A factor of two changes no rate by more than its interval."""


def effective_strengths(
    clean: CleanSpectra, population: Population
) -> Mapping[AnomalyKind, NDArray[np.float64]]:
    """Of each kind at a strength of 1, (n,) for the clean spectra; NaN where one cannot carry it."""
    found = {kind: np.full(len(clean), np.nan) for kind in clean.kinds}
    normalised = clean.normalised
    for row, (norm, redshift) in enumerate(
        zip(normalised.normalisation, normalised.rows["redshift"].tolist(), strict=True)
    ):
        shapes = {kind: shape for kind in clean.kinds if (shape := clean.shapes[kind][row]) is not None}
        if not shapes:
            continue
        changes = np.stack([shape.change for shape in shapes.values()]) / norm
        strengths = population.effective(changes, clean.truth[row] / norm, normalised.ivar[row], redshift)
        for kind, strength in zip(shapes, strengths.tolist(), strict=True):
            found[kind][row] = strength
    return found
