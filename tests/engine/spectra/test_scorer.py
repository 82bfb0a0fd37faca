"""What makes a row refused, and what does not."""

from __future__ import annotations

import numpy as np

from engine.spectra.normalisation import NormalisedSpectra
from engine.spectra.rows import Rows
from engine.spectra.scorer import Scorer
from models.score_kinds import RECONSTRUCTION_SCORES
from models.scoring.scoring_model import ScoringModel


def test_a_published_score_without_result_refuses_no_row(tiny_model: ScoringModel) -> None:
    pixels = tiny_model.card.grid.size
    rows = Rows.empty(2)
    rows.data["redshift"] = 0.2
    flux = np.ones((2, pixels), dtype=np.float32)
    flux[1] = -0.5  # a divisor below zero in every term of the published chi2
    ivar = np.full_like(flux, 25.0)
    spectra = NormalisedSpectra(rows, flux, ivar, ivar > 0, np.ones(2, dtype=np.float32))
    scores = Scorer(tiny_model).score(spectra, np.arange(2))
    assert scores.finite.all()
    lost = [name.startswith("published_chi2") for name in RECONSTRUCTION_SCORES]
    assert np.isfinite(scores.reconstruction[0]).all()
    assert np.isnan(scores.reconstruction[1]).tolist() == lost
