"""One call for every model: by its seams if it can be taken apart, by full forward passes if not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.attribution.occlusion.dense import DenseOccluder
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.seams import SeamOccluder, occluder_of
from engine.attribution.occlusion.windows import dense_scales
from models.errors import ConfigurationError
from models.local.local_score import LocalScore
from tests.models.local.own_layers import AddChannel, MeanPooling

MEMORY = 2**27


def layers(*between: nn.Module) -> list[nn.Module]:
    torch.manual_seed(5)
    return [nn.Conv1d(1, 4, 5, 2, 2), *between, nn.LeakyReLU(0.1), nn.Conv1d(4, 4, 3, padding=1)]


def test_a_local_score_is_occluded_by_its_seams_and_any_function_by_passes() -> None:
    score = LocalScore(AddChannel(), layers(), MeanPooling(30), (nn.Linear(4, 1), nn.Flatten(0))).double()
    random = torch.Generator().manual_seed(1)
    request = OcclusionRequest(
        torch.randn(60, generator=random, dtype=torch.float64),
        torch.randn(3, 60, generator=random, dtype=torch.float64),
        torch.rand(60, generator=random) > 0.1,
    )
    scales = dense_scales((1, 4, 16), 60)
    by_seams, by_passes = occluder_of(score, MEMORY), occluder_of(lambda flux: score(flux), MEMORY)
    assert isinstance(by_seams, SeamOccluder)
    assert isinstance(by_passes, DenseOccluder)
    for found, wanted in zip(
        by_seams.differences(request, scales), by_passes.differences(request, scales), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-13)


def test_an_encoder_that_normalises_over_positions_is_refused_but_can_be_explained() -> None:
    """As spender's does: the refusal says which layer, why, and what to do instead."""
    stack = layers(nn.InstanceNorm1d(4))
    with pytest.raises(ConfigurationError, match=r"layer 1: InstanceNorm1d(.|\n)*DenseOccluder"):
        LocalScore(AddChannel(), stack, MeanPooling(30), (nn.Linear(4, 1), nn.Flatten(0)))
    encoder = nn.Sequential(*stack).requires_grad_(requires_grad=False)
    request = OcclusionRequest(torch.randn(60), torch.randn(2, 60), torch.ones(60, dtype=torch.bool))
    occluder = occluder_of(lambda flux: -encoder(flux[:, None]).square().mean(dim=(1, 2)), MEMORY)
    (differences,) = occluder.differences(request, dense_scales((4,), 60))
    assert differences.shape == (2, 60)
    assert (differences != 0).all()
