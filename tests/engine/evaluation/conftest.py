"""Clean spectra with anomalies to inject, made once."""

from __future__ import annotations

import pytest

from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import PlantingGround, prepare_ground
from tests.conftest import random_model


@pytest.fixture(scope="session")
def ground() -> PlantingGround:
    """Of a DESI galaxy model."""
    return prepare_ground(random_model().card, HeldOutSettings(spectra=12, seed=5))
