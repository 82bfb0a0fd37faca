"""Extremal masks: exact areas, the best pixels of scores in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings as limited
from hypothesis import strategies as st

from engine.attribution.extremal_masks import EXTREMAL_MASKS, ExtremalMasksSettings, nearest_masks
from models.errors import ConfigurationError
from tests.engine.attribution.simple_subjects import PIXELS, simple_subject

CURVE = torch.linspace(0.5, 2, PIXELS, dtype=torch.float64)


@limited(max_examples=25)
@drawn(st.integers(0, 1000), st.integers(1, 30))
def test_masks_have_their_area_and_none_is_nearer(seed: int, area: int) -> None:
    random = torch.Generator().manual_seed(seed)
    wanted = 2 * torch.randn(1, 40, generator=random, dtype=torch.float64)
    good = torch.rand(40, generator=random) > 0.1
    area = min(area, int(good.sum()))
    found = nearest_masks(wanted, torch.tensor([[float(area)]]), good)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert not found[0, ~good].any()
    assert float(found.sum()) == pytest.approx(area)
    other = nearest_masks(torch.rand(1, 40, generator=random), torch.tensor([[float(area)]]), good)
    nearest = ((found - wanted)[:, good]).square().sum()
    assert nearest <= ((other - wanted)[:, good]).square().sum() + 1e-9


def test_of_a_sum_of_pixels_the_largest_are_masked() -> None:
    given = simple_subject(lambda spectra: -(CURVE * spectra.double()).sum(dim=1))
    terms = torch.where(given.good, CURVE * given.flux.double(), 0.0).numpy()
    settings = ExtremalMasksSettings((3, 10), steps=60)
    found = EXTREMAL_MASKS.attribute(given, settings)
    for area, each in zip(settings.areas, found.maps, strict=True):
        best = np.sort(terms)[-area:].sum()
        fall = each.sum() / area
        assert 0.98 * best < fall <= best + 1e-9
        assert each.argmax() in np.argsort(terms)[-area:]


def test_areas_beyond_the_good_pixels_mask_all_of_them() -> None:
    given = simple_subject(lambda spectra: -spectra.double().square().sum(dim=1))
    found = EXTREMAL_MASKS.attribute(given, ExtremalMasksSettings((1000,), steps=2))
    good = given.good.numpy()
    assert found.maps[0][good].min() == pytest.approx(found.maps[0][good].max())


def test_areas_that_do_not_increase_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="extremal-masks settings, areas"):
        ExtremalMasksSettings((4, 4))
