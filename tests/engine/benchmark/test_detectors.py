"""Detectors: right or wrong by their values alone, whoever wrote them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.benchmark.detectors import detector_rates, own_detector
from engine.benchmark.field import Field
from engine.evaluation.detectors import SCORE, TAIL
from engine.evaluation.rivals import Rivals


def no_rivals() -> Rivals:
    raise AssertionError("they are learnt only if they are asked for")


def test_rates_are_of_pairs_and_gaps_are_not_odd(field: Field) -> None:
    clean = {each.injected.clean_flux.tobytes() for each in field.tried}

    def knows(flux: np.ndarray, ivar: np.ndarray, redshift: np.ndarray) -> np.ndarray:
        assert flux.shape == ivar.shape == (len(redshift), field.model.card.grid.size)
        return np.array([np.nan if each.tobytes() in clean else np.inf for each in flux])

    def guesses(flux: np.ndarray, ivar: np.ndarray, redshift: np.ndarray) -> np.ndarray:
        return np.zeros(len(flux))

    rates = detector_rates("tiny", field.tried, {"knows": knows, "guesses": guesses})
    assert [(each.detector, each.strength) for each in rates] == [
        (name, strength) for name in ("knows", "guesses") for strength in (100.0, 400.0)
    ]
    for each in rates:
        assert (each.auc, each.recall) == ((1.0, 1.0) if each.detector == "knows" else (0.5, 0.0))
        assert each.auc_low <= each.auc <= each.auc_high
    assert sum(each.spectra for each in rates) == 2 * len(field.tried)


def test_the_model_is_a_detector(field: Field) -> None:
    spectrum = field.tried[0]
    injected = spectrum.injected
    tail, score = (own_detector(name, field.model, no_rivals) for name in (TAIL, SCORE))
    given = (injected.flux, injected.ivar, injected.redshift)
    assert tail(*given)[0] == pytest.approx(-np.log(spectrum.tail), rel=1e-5)
    assert np.isfinite(score(*given)).all()
