"""One small field, made once: a random model and the spectra that it detects."""

from __future__ import annotations

import pytest

from engine.benchmark.field import Field
from engine.benchmark.judged_spectra import JudgedSettings, judged_spectra
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.simulation.anomalies import AnomalyKind
from tests.conftest import random_model

SETTINGS = JudgedSettings(
    HeldOutSettings(1, seed=3),
    strengths=(100.0, 400.0),
    threshold=0.001,
    kinds=(AnomalyKind.COSMIC_RAYS, AnomalyKind.TRIANGULAR_BUMP, AnomalyKind.TILT),
)


@pytest.fixture(scope="session")
def field() -> Field:
    """A random model detects what is very strong, at a generous threshold."""
    model = random_model()
    return Field(model, SETTINGS, judged_spectra(model, SETTINGS, 3))
