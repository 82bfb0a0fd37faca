"""Clean spectra with anomalies to inject, made once."""

from __future__ import annotations

import pytest

from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from tests.conftest import random_model


@pytest.fixture(scope="session")
def clean() -> CleanSpectra:
    """Of a DESI galaxy model."""
    return prepare_clean_spectra(random_model().card, HeldOutSettings(spectra=12, seed=5))
