"""The spectrum with a narrow and a wide oddity: both are in it, apart, and every map is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.attribution.occlusion.combine import COMBINATIONS
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import prepare_clean_spectra
from engine.evaluation.two_oddities import LINE, STEP, TwoOddities, able_rows, two_oddities
from models.errors import InputError
from models.weights import load_model
from tests.conftest import random_model


def test_both_oddities_are_in_the_spectrum_and_in_every_map() -> None:
    model = random_model()
    clean = prepare_clean_spectra(model.card, HeldOutSettings(spectra=6, seed=3), (LINE, STEP))
    row, *_ = able_rows(model, clean, 20.0, 60.0, 1.0)
    found = two_oddities(model, clean, row, 20.0, 60.0)
    assert not (found.line & found.step).any()
    significance = (found.flux - found.clean_flux) ** 2 * found.ivar
    for region in (found.line, found.step):
        assert np.sqrt(significance[region].sum()) > 10.0
    assert found.maps.shape == (6, model.card.grid.size)
    assert {*COMBINATIONS, "gradient x input", "occlusion by zero"} < set(found.others)
    with pytest.raises(InputError, match="1e\\+09 sigma"):
        able_rows(model, clean, 1e9, 1e9, 1.0)


def test_a_region_is_shown_where_it_outdoes_all_that_is_outside() -> None:
    nothing = np.zeros(10, dtype=np.float32)
    line, step = np.arange(10) == 2, np.arange(10) >= 6
    ivar = np.where(np.arange(10) == 4, 0, 1).astype(np.float32)
    found = TwoOddities(
        np.arange(10.0),
        nothing,
        ivar,
        nothing,
        line,
        step,
        0.1,
        0.5,
        np.array([1]),
        nothing[None],
        nothing[None],
        {},
    )
    attribution = np.array([0, 1, 3, 1, 50, 2, 0, 1, 0, 0], dtype=np.float32)
    assert found.shown(attribution) == (1.5, 0.5)
    assert found.shown(-attribution) == (0.0, 0.0)
    assert found.shown(np.where(line, 1.0, -1.0)) == (float("inf"), 0.0)
    # The line's 3 is above 0, 1, 1 and 2 outside, the masked 50 does not count.
    assert found.ranking(attribution, line) == 1.0
    assert found.ranking(-attribution, line) == 0.0
    assert found.ranking(np.zeros(10), step) == 0.5


@pytest.mark.slow
@pytest.mark.real_data
def test_the_published_headline_holds_for_the_shipped_model(real_data: Path) -> None:
    model = load_model("desi-galaxy")
    held_out = HeldOutSettings(160, 1, real_data / "templates", real_data / "sky")
    clean = prepare_clean_spectra(model.card, held_out, (LINE, STEP))
    settings = OcclusionSettings(windows=(4, 16, 256), baselines=5)
    rows = able_rows(model, clean, 150.0, 250.0, 0.01)[:5]
    spectra = [two_oddities(model, clean, row, 150.0, 250.0, settings=settings) for row in rows]
    assert len(spectra) == 5
    assert all(each.tail_probability < 0.01 for each in spectra)

    def both(name: str) -> int:
        return sum(min(each.ranked(each.others[name])) >= 0.7 for each in spectra)

    _, narrow, wide = np.median([[each.ranked(one) for one in each.near_maps] for each in spectra], axis=0)
    # A small window finds the lines, better than a wide one, which finds the step.
    assert narrow[0] > 0.95
    assert narrow[0] > wide[0] + 0.05
    assert wide[1] > 0.75
    # The combined map shows both; gradient x input and plain occlusion never do.
    combination = "nearest: mean"
    assert np.median([each.ranked(each.others[combination]) for each in spectra], axis=0).min() > 0.75
    assert both(combination) >= 3
    for rival in ("gradient x input", "occlusion by zero", "occlusion by mean baseline"):
        assert both(rival) == 0
