"""The memory allowed is planned before any work, and never exceeded."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import torch

from engine.attribution.baselines import drawn_calibration
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.seams import SeamOccluder
from engine.attribution.occlusion.windows import dense_scales
from models.errors import ConfigurationError
from models.scoring.scoring_model import ScoringModel
from models.weights import load_model
from tests.small_run import environment

REDSHIFT = 0.2

MEASURE = """
import json
import sys
import numpy as np
import torch
from flows.bench.memory import PeakMemory
from engine.attribution.occlusion.seams import SeamOccluder
from engine.attribution.occlusion.settings import of_preset
from engine.attribution.occlusion.windows import Scale, scales_of
from models.weights import load_model
from tests.engine.attribution.occlusion.test_seam_memory import occlusion_request

model = load_model("desi-galaxy").double()
few = [Scale(width, np.zeros(1, int), np.full(1, width), np.full(7781, -1)) for width in (1, 1024)]
for megabytes, baselines, preset in json.loads(sys.argv[1]):
    request = occlusion_request(model, baselines)
    flat = torch.full_like(request.spectrum, 25.0).double()
    score = model.conditioned(request.spectrum.double(), flat, 0.2)
    scales = scales_of(of_preset(preset), request.pixels)
    SeamOccluder(score, 2**30).differences(occlusion_request(model, 1), few)  # loads all libraries
    with PeakMemory(torch.device("cpu")) as taken:
        SeamOccluder(score, megabytes * 2**20).differences(request, scales)
    print(taken.bytes)
"""

CASES = ((100, 2, "paper"), (128, 3, "paper"), (256, 5, "reference-code"))
"""Megabytes allowed, baselines, preset: of more baselines than are worked on at once, 1, 1 and 2."""


def occlusion_request(model: ScoringModel, baselines: int) -> OcclusionRequest:
    """A noisy galaxy of DESI's size and its baselines."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        drawn = model.baselines(REDSHIFT, drawn_calibration(1000, baselines + 1, seed=0)).float()
    noise = 0.2 * torch.randn(drawn.shape[1], generator=random)
    return OcclusionRequest(drawn[-1] + noise, drawn[:-1], torch.ones(drawn.shape[1], dtype=torch.bool))


@pytest.fixture(scope="module")
def taken() -> dict[tuple[int, int, str], int]:
    """Bytes that each case takes, in one process of their own."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(CASES)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(CASES, map(int, run.stdout.split()), strict=True))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} MB, {case[2]}")
def test_no_more_than_the_memory_allowed_is_taken(
    case: tuple[int, int, str], taken: dict[tuple[int, int, str], int]
) -> None:
    memory = case[0] * 2**20
    assert 0 < taken[case] <= memory
    # Nor is what is allowed left lying about: the plan is an estimate from above, not a guess.
    assert taken[case] > memory / 8


def test_memory_for_less_than_one_baseline_is_refused_with_what_it_needs() -> None:
    model = load_model("desi-galaxy").double()
    request = occlusion_request(model, 1)
    score = model.conditioned(
        request.spectrum.double(), torch.full_like(request.spectrum, 25.0).double(), REDSHIFT
    )
    scales = dense_scales((1, 64), request.pixels)
    with pytest.raises(
        ConfigurationError, match=r"activations of a single baseline(.|\n)*got: 1000000 bytes"
    ) as caught:
        SeamOccluder(score, 1_000_000).differences(request, scales)
    least = int(re.findall(r"at least (\d+) bytes for 7781 pixels", str(caught.value))[0])
    with pytest.raises(ConfigurationError, match="activations of a single baseline"):
        SeamOccluder(score, least - 1).differences(request, scales)
    assert torch.isfinite(SeamOccluder(score, least).differences(request, scales)[0]).all()
