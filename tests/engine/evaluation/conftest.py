"""Clean spectra with anomalies to plant, made once."""

from __future__ import annotations

import pytest

from engine.evaluation.fresh_spectra import FreshSettings
from engine.evaluation.planted_spectra import PlantingGround, prepare_ground
from tests.conftest import random_model


@pytest.fixture(scope="session")
def ground() -> PlantingGround:
    """Of a DESI galaxy model."""
    return prepare_ground(random_model().card, FreshSettings(spectra=12, seed=5))
