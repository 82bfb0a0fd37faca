"""Kinds that evaluations alone inject: shaped as their names say, in no release and no bank."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.injected_spectra import CleanSpectra
from engine.evaluation.judged_causes import right_cause
from engine.simulation.anomalies import AnomalyKind
from engine.simulation.spectrum import KINDS
from flows.evaluation.evaluate import KINDS as EVALUATED
from models.causes.names import UNKNOWN

HELD_OUT = (AnomalyKind.P_CYGNI, AnomalyKind.FRINGES, AnomalyKind.TRIANGULAR_BUMP)


def changes(clean: CleanSpectra, kind: AnomalyKind) -> list[np.ndarray]:
    return [shape.change for shape in clean.shapes[kind] if shape is not None]


def test_they_are_evaluated_but_in_no_release() -> None:
    assert tuple(kind for kind in AnomalyKind if kind.held_out) == HELD_OUT
    assert set(KINDS).isdisjoint(HELD_OUT)
    assert set(HELD_OUT) < set(EVALUATED)
    assert {right_cause(kind) for kind in HELD_OUT} == {UNKNOWN}


def test_a_p_cygni_profile_is_absorption_then_emission(clean: CleanSpectra) -> None:
    for change in changes(clean, AnomalyKind.P_CYGNI):
        low, high = int(change.argmin()), int(change.argmax())
        assert change[low] < 0 < change[high]
        assert 0 < high - low < 250
        assert np.abs(np.flatnonzero(change) - high).max() < 400


def test_fringes_swing_about_nothing_in_the_red(clean: CleanSpectra) -> None:
    wavelength = clean.card.grid.wavelength()
    for change in changes(clean, AnomalyKind.FRINGES):
        inside = np.flatnonzero(change)
        assert wavelength[inside[0]] > 7200
        signs = np.sign(change[inside])
        assert (np.diff(signs) != 0).sum() >= 12
        assert abs(change.sum()) < 0.25 * np.abs(change).sum()


def test_a_triangular_bump_is_two_straight_lines(clean: CleanSpectra) -> None:
    wavelength = clean.card.grid.wavelength()
    for change in changes(clean, AnomalyKind.TRIANGULAR_BUMP):
        inside = np.flatnonzero(change)
        assert (change[inside] > 0).all()
        peak = int(change.argmax())
        for side in (inside[inside <= peak - 2], inside[inside >= peak + 2]):
            line = np.polyval(np.polyfit(wavelength[side], change[side], 1), wavelength[side])
            assert change[side] == pytest.approx(line, abs=0.02 * float(change.max()))
