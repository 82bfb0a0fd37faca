"""Judged causes: counted, ranked and calibrated as their definitions say."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.cause import Cause
from engine.evaluation.injected_spectra import CleanSpectra
from engine.evaluation.judged_causes import NamedCause, judge_causes, named_causes, right_cause
from engine.simulation.anomalies import AnomalyKind
from models.causes.names import CAUSES, UNKNOWN
from tests.conftest import random_model

RAYS, STEP, LINES = AnomalyKind.COSMIC_RAYS, AnomalyKind.ARM_STEP, AnomalyKind.BROAD_SHIFTED_LINES


def named(kind: AnomalyKind, name: str, probability: float, instrument: float) -> NamedCause:
    return NamedCause(kind, Cause(name, probability, instrument))


def test_every_kind_has_a_right_cause_that_models_can_name() -> None:
    assert {right_cause(kind) for kind in AnomalyKind} <= {*CAUSES, UNKNOWN}
    assert right_cause(RAYS) == "single_pixels"
    assert right_cause(AnomalyKind.TILT) == UNKNOWN


def test_what_spectra_are_called_is_counted_by_kind() -> None:
    judged = judge_causes(
        [
            named(RAYS, "single_pixels", 0.9, 0.9),
            named(RAYS, "broad_lines", 0.6, 0.2),
            named(LINES, "broad_lines", 0.8, 0.1),
        ],
        (RAYS, STEP, LINES),
    )
    rays, step, lines = judged.kinds
    assert (rays.selected, rays.rightly.value, rays.right) == (2, 0.5, "single_pixels")
    assert rays.named["single_pixels"] == rays.named["broad_lines"] == 1
    assert sum(rays.named.values()) == 2
    assert step.selected == 0
    assert np.isnan(step.rightly.value)
    assert lines.rightly.value == 1
    # Of the pairs (instrument, source), 0.9 and 0.2 are both above 0.1.
    assert judged.instrument_auc == 1
    assert judged.calibration_error == pytest.approx((0.1 + 0.6 + 0.2) / 3)


def test_probabilities_that_hold_have_no_calibration_error() -> None:
    right = [named(RAYS, "single_pixels", 0.75, 1.0)] * 3
    judged = judge_causes([*right, named(RAYS, UNKNOWN, 0.75, 0.5)], (RAYS,))
    (only,) = judged.bins
    assert (only.low, only.high, only.spectra, only.rightly) == (0.7, 0.8, 4, 0.75)
    assert judged.calibration_error == pytest.approx(0, abs=1e-12)
    assert np.isnan(judged.instrument_auc)
    assert np.isnan(judge_causes([], (RAYS,)).calibration_error)


def test_only_selected_spectra_are_named(clean: CleanSpectra) -> None:
    injected = clean.inject(RAYS, 40.0)
    selected = np.arange(len(injected)) % 3 == 0
    found = named_causes(random_model(), injected, selected)
    assert len(found) == selected.sum()
    assert {each.kind for each in found} == {RAYS}
    assert named_causes(random_model(), injected, np.zeros(len(injected), bool)) == []
