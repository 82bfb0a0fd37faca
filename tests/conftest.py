"""Fixtures that every layer's tests share."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from engine.surveys.desi.grid import DESI_GRID
from models.calibration.calibration import Calibration
from models.model_card import ModelCard
from models.pixel_errors import depth_of
from models.scoring.encoder import EncoderSettings
from models.scoring.residual_scan import cell_means, fit_misfit
from models.scoring.scoring_model import ScoringModel

# No process of the product imports from its working directory: workers find what tests define by this.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")))
)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes run tests: their threads would spin for each other on the same cores.
    torch.set_num_threads(1)
    threadpool_limits(1)
THREADS = torch.get_num_threads()

settings.register_profile(
    "default",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Commands set the threads of torch for their process, which here is that of all tests."""
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(THREADS)


@pytest.fixture
def tiny_model() -> ScoringModel:
    """See :func:`random_model`."""
    return random_model()


def random_model(redshift_max: float = 0.6) -> ScoringModel:
    """A DESI model with few, random, fixed weights and a calibration set of its own making.

    Each call gives a copy of its own and leaves torch's random state the same: building one takes seconds.
    """
    model, random_state = _random_model(redshift_max)
    torch.set_rng_state(random_state)
    return copy.deepcopy(model)


@functools.cache
def _random_model(redshift_max: float) -> tuple[ScoringModel, torch.Tensor]:
    torch.manual_seed(7)
    encoder = EncoderSettings(latents=3, novelty=1, channels=(4, 4, 8), heads=4, hidden=8)
    architecture = {
        **encoder.to_dict(),
        "decoder_hidden": [8],
        "flow": {"transforms": 2, "hidden": [8]},
        "scan": [[64, 64], [512, 256]],
        "arm_edges": [5780.0, 7570.0],
        "modes": 2,
    }
    card = ModelCard(
        name="tiny",
        description="random weights, for tests",
        kind="local",
        grid=DESI_GRID,
        classes=("GALAXY",),
        redshift_min=0.0,
        redshift_max=redshift_max,
        snr_min=0.5,
        snr_max=100.0,
        normalisation_min=5300.0,
        normalisation_max=5850.0,
        min_good_fraction=0.3,
        rest_start=3.35,
        rest_step=2e-4,
        rest_size=3230,
        architecture=architecture,
        training={},
        metrics={},
        calibration_quantiles=(),
    )
    model = ScoringModel(card, 200)
    with torch.no_grad():
        # Wide enough that decoded spectra differ and windows matter.
        model.decoder.output.weight.normal_(0, 0.3)
        model.calibration_latents.normal_()
        redshift = torch.full((200,), 0.2, dtype=torch.float64)
        flux = model.decode(model.calibration_latents, redshift)
        ivar = torch.full_like(flux, 25.0)
        flux = flux + 0.2 * torch.randn_like(flux)
        latents = model.encode(flux, ivar, redshift)
        model.density.standardise(latents[:, :3], depth_of(ivar), redshift)
        model.residual_factors.modes.normal_(0, 0.05)
        residual = flux - model.decode(latents, redshift)
        fit_misfit(model.scan, cell_means(model.scan, residual, ivar, redshift, model.modes(redshift)), 30)
        depth = depth_of(ivar)
        raw = model.raw_parts(latents, model.decode(latents, redshift), flux, ivar, redshift, depth)
        model.joint.fit(raw, depth, redshift)
        score = model.joint(raw, depth, redshift).float().double().numpy()
        model.calibration = Calibration.fit(score, np.full(200, 5.0), np.full(200, 0.2))
    return model.requires_grad_(False).eval(), torch.get_rng_state()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Directory of real survey files; skips where there is none, fails in CI where there must be."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("WHYSPEC_TEST_DATA", default))
    if not (path / "real").is_dir():
        reason = f"real survey data not found at {path} (set WHYSPEC_TEST_DATA)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
