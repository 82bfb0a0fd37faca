"""Judged spectra: tried equally often, detected because of the anomaly, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.benchmark.field import Field
from engine.benchmark.judged_spectra import JudgedSettings, judged_spectra
from engine.evaluation.held_out_spectra import HeldOutSettings
from models.errors import ConfigurationError
from tests.engine.benchmark.conftest import SETTINGS


def test_cells_are_tried_equally_often_and_numbers_are_places(field: Field) -> None:
    assert [each.number for each in field.tried] == list(range(len(field.tried)))
    tries = Counter((each.kind, each.strength) for each in field.tried)
    # A spectrum that cannot carry what is due carries what is next.
    assert max(tries.values()) - min(tries.values()) <= 2
    assert len(field.detected) == 3


def test_detected_is_what_the_anomaly_made_odd(field: Field) -> None:
    for each in field.tried:
        odd, usual = each.tail <= SETTINGS.threshold, each.clean_tail > SETTINGS.threshold
        assert (each in field.detected) == (odd and usual)
        change, ivar = each.injected.change[0].astype(float), each.injected.ivar[0]
        assert each.strength == pytest.approx(np.sqrt((change**2 * ivar).sum()), rel=1e-4)
        pixels = int(each.injected.injected.sum())
        assert each.per_pixel == pytest.approx(each.strength / np.sqrt(pixels))


def test_more_spectra_begin_with_the_same(field: Field) -> None:
    fewer = judged_spectra(field.model, SETTINGS, 1)
    assert len(fewer) <= len(field.tried)
    for one, other in zip(fewer, field.tried, strict=False):
        assert (one.kind, one.strength, one.tail) == (other.kind, other.strength, other.tail)
        np.testing.assert_array_equal(one.injected.flux, other.injected.flux)


def test_nothing_detected_is_said(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.benchmark.judged_spectra.MOST_TRIES", 3)
    blind = replace(SETTINGS, threshold=1e-9, strengths=(0.1,))
    with pytest.raises(ConfigurationError, match=r"detects none[^$]*3 spectra tried"):
        judged_spectra(field.model, replace(blind, kinds=SETTINGS.kinds[:1]), 1)


@pytest.mark.parametrize(
    "wrong", [{"strengths": ()}, {"strengths": (0.0,)}, {"threshold": 1.0}, {"kinds": ()}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="out of range"):
        JudgedSettings(HeldOutSettings(1, 1), **wrong)  # type: ignore[arg-type]
