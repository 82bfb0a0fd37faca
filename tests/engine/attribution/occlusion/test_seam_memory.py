"""The memory allowed is planned before any work, and never exceeded."""

from __future__ import annotations

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
import sys
import torch
from flows.bench.memory import PeakMemory
from engine.attribution.occlusion.seams import SeamOccluder
from engine.attribution.occlusion.settings import of_preset
from engine.attribution.occlusion.windows import Scale, scales_of
from models.weights import load_model
from tests.engine.attribution.occlusion.test_seam_memory import occlusion_request

memory, baselines, preset = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
model = load_model("desi-galaxy").double()
request = occlusion_request(model, baselines)
score = model.conditioned(request.spectrum.double(), torch.full_like(request.spectrum, 25.0).double(), 0.2)
scales = scales_of(of_preset(preset), request.pixels)
few = [Scale(scale.window, scale.start[:1], scale.stop[:1], scale.of_pixel) for scale in scales]
SeamOccluder(score, 2**30).differences(occlusion_request(model, 1), few)  # loads all libraries
with PeakMemory(torch.device("cpu")) as taken:
    SeamOccluder(score, memory).differences(request, scales)
print(taken.bytes)
"""


def occlusion_request(model: ScoringModel, baselines: int) -> OcclusionRequest:
    """A noisy galaxy of DESI's size and its baselines."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        drawn = model.baselines(REDSHIFT, drawn_calibration(1000, baselines + 1, seed=0)).float()
    noise = 0.2 * torch.randn(drawn.shape[1], generator=random)
    return OcclusionRequest(drawn[-1] + noise, drawn[:-1], torch.ones(drawn.shape[1], dtype=torch.bool))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("megabytes", "baselines", "preset"),
    [
        (100, 2, "paper"),
        (256, 16, "reference-code"),
        (128, 16, "paper"),
    ],
)
def test_no_more_than_the_memory_allowed_is_taken(megabytes: int, baselines: int, preset: str) -> None:
    memory = megabytes * 2**20
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(memory), str(baselines), preset],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    taken = int(run.stdout)
    assert 0 < taken <= memory
    # Nor is what is allowed left lying about: the plan is an estimate from above, not a guess.
    assert taken > memory / 8


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
