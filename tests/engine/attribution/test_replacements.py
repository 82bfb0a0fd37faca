"""Replacements of occluded windows: what takes their place, and feature ablation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.attribution.plain_occlusion import PLAIN_OCCLUSION, PlainOcclusionSettings
from engine.attribution.replacements import replacement_of
from models.errors import ConfigurationError
from tests.engine.attribution.simple_subjects import PIXELS, simple_subject


def squares(spectra: torch.Tensor) -> torch.Tensor:
    return -spectra.double().square().sum(dim=1)


class Neighbours:
    """A model that draws a pixel as the mean of all that it sees, and keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def drawn_from(self, spectra: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        self.seen.append(seen)
        return ((spectra * seen).sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True)).expand_as(spectra)

    def log_prob(self, flux: torch.Tensor) -> object:
        raise NotImplementedError

    def usual_log_prob(self, tail_probability: float) -> float:
        raise NotImplementedError


@pytest.mark.parametrize("width", [1, 4, 5, 16])
def test_the_model_draws_a_window_that_it_does_not_see(width: int) -> None:
    model = Neighbours()
    given = replace(simple_subject(squares), anew=model)
    found = replacement_of(given, "generative", width, 2, 0)
    seen = torch.cat(model.seen)
    flux = given.flux.double()
    means = (flux * seen).sum(dim=1) / seen.sum(dim=1)
    step = max(width // 2, 1)
    for pixel in range(PIXELS):
        row = (pixel // step) % len(seen)
        assert found[pixel] == means[row]
        begin = pixel // step * step
        around = slice(max(begin - (width - step) // 2, 0), begin + step + (width - step) // 2)
        assert not seen[row, around].any()
        assert seen[row].any()


def test_noise_is_that_of_the_errors_around_the_mean_baseline() -> None:
    given = simple_subject(squares)
    mean = replacement_of(given, "mean baseline", 1, 2, 0)
    noisy = replacement_of(given, "noise", 1, 2, 0)
    torch.testing.assert_close(mean, given.decoder.baselines(np.arange(2)).mean(dim=0))
    changed = ((noisy - mean) / given.sigma)[given.good]
    assert 0.7 < float(changed.std()) < 1.3
    assert torch.equal(noisy, replacement_of(given, "noise", 1, 2, 0))
    assert not torch.equal(noisy, replacement_of(given, "noise", 1, 2, 1))


def test_feature_ablation_shares_each_tiles_effect_among_its_pixels() -> None:
    given = simple_subject(squares)
    found = PLAIN_OCCLUSION.attribute(given, PlainOcclusionSettings("zero", (1, 8), spacing="tiled"))
    flux = torch.where(given.good, given.flux.double(), 0.0)
    np.testing.assert_allclose(found.maps[0], flux.square().numpy(), atol=1e-12)
    np.testing.assert_allclose(found.maps.sum(axis=1), float(flux.square().sum()), rtol=0.2)
    assert PLAIN_OCCLUSION.units(PlainOcclusionSettings(spacing="tiled")).maps == "nat / pixel"
    assert PLAIN_OCCLUSION.units(PlainOcclusionSettings()).maps == "nat"


def test_each_width_has_its_own_generated_spectrum() -> None:
    given = simple_subject(squares)
    both = PLAIN_OCCLUSION.attribute(given, PlainOcclusionSettings("generative", (1, 8)))
    for width, found in zip((1, 8), both.maps, strict=True):
        alone = PLAIN_OCCLUSION.attribute(given, PlainOcclusionSettings("generative", (width,)))
        np.testing.assert_array_equal(found, alone.maps[0])


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="plain-occlusion settings, replacement\n  got: grey"):
        PlainOcclusionSettings.from_dict({"replacement": "grey"})
    given = replace(simple_subject(squares), anew=None)
    with pytest.raises(ConfigurationError, match=r"without other pixels seen(.|\n)*remedy"):
        PLAIN_OCCLUSION.attribute(given, PlainOcclusionSettings("generative", (4,)))
