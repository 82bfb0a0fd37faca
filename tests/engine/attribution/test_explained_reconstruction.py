"""Reconstruction scores as modules that attribution methods explain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.attribution.occlusion.dense import DenseOccluder
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.reconstruction_scores import ExplainableReconstructionScore
from models.errors import BugError, ConfigurationError
from models.reconstruction_scores import ReconstructedSpectra, reconstruction_scores
from models.score_kinds import RECONSTRUCTION_SCORES
from models.scoring.scoring_model import ScoringModel
from tests.engine.attribution.occlusion.attributed import attribute
from tests.models.local.linear_model import GRID, PIXELS, LinearModel

REDSHIFT = 0.01


def spectrum(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Flux (N,) above zero and ivar (N,), four pixels masked; float64."""
    random = torch.Generator().manual_seed(seed)
    flux = 1.0 + 0.3 * torch.rand(PIXELS, generator=random, dtype=torch.float64)
    ivar = 5.0 + 10 * torch.rand(PIXELS, generator=random, dtype=torch.float64)
    ivar[[3, 11, 12, 30]] = 0
    return flux, ivar


def explained(name: str, frozen: bool = False) -> tuple[ExplainableReconstructionScore, torch.Tensor]:
    flux, ivar = spectrum()
    model = LinearModel()
    own = ExplainableReconstructionScore(model, name, ivar, REDSHIFT).reconstruction(flux[None])[0]
    return ExplainableReconstructionScore(model, name, ivar, REDSHIFT, own if frozen else None), flux


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", RECONSTRUCTION_SCORES)
def test_gradients_are_those_of_finite_differences(name: str, frozen: bool) -> None:
    score, flux = explained(name, frozen)
    given = flux[None].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(score, (given,), eps=1e-6, atol=1e-6)
    (gradient,) = torch.autograd.grad(score(given).sum(), given)
    assert (gradient[0, [3, 11, 12, 30]] == 0).all(), "masked pixels"


@pytest.mark.parametrize("name", ["ivar_chi2_all_100", "published_mse_all_100"])
def test_gradients_pass_through_the_shipped_kind_of_model(tiny_model: ScoringModel, name: str) -> None:
    torch.manual_seed(1)
    model = tiny_model.double()
    flux = 1 + 0.2 * torch.randn(1, model.card.grid.size, dtype=torch.float64)
    score = ExplainableReconstructionScore(model, name, torch.full_like(flux[0], 9.0), 0.2)
    given = flux.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(given).sum(), given)
    step = 1e-5 * torch.randn_like(flux)
    difference = score(flux + step) - score(flux - step)
    assert float(difference) == pytest.approx(2 * float((gradient * step).sum()), rel=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", RECONSTRUCTION_SCORES)
def test_the_residual_map_adds_up_to_the_score(name: str, frozen: bool) -> None:
    score, flux = explained(name, frozen)
    batch = torch.stack([flux, 1.2 * flux])
    value = score(batch)
    total = value if name.startswith("ivar") else value.square()
    torch.testing.assert_close(score.residual_map(batch).sum(dim=1), total, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["ivar_mse_all_100", "ivar_chi2_nolines_100"])
def test_with_a_frozen_reconstruction_the_map_is_the_exact_decomposition(name: str) -> None:
    """One pixel's change moves the score by the change of its own value in the map."""
    score, flux = explained(name, frozen=True)
    changed = flux.repeat(PIXELS, 1) + torch.eye(PIXELS, dtype=torch.float64)
    own, others = score.residual_map(flux[None])[0], score.residual_map(changed)
    torch.testing.assert_close(score(changed) - score(flux[None]), others.diagonal() - own)


def test_the_module_gives_the_pipelines_columns(tiny_model: ScoringModel) -> None:
    torch.manual_seed(2)
    flux = 1 + 0.2 * torch.randn(3, tiny_model.card.grid.size)
    ivar = 9.0 * (torch.rand(tiny_model.card.grid.size) > 0.1)
    redshift = torch.full((3,), 0.2, dtype=torch.float64)
    columns = reconstruction_scores(
        ReconstructedSpectra(
            flux,
            ivar.expand_as(flux),
            ivar.expand_as(flux) > 0,
            tiny_model.outputs(flux, ivar.expand_as(flux), redshift).reconstruction,
            redshift,
            torch.from_numpy(tiny_model.card.grid.wavelength()),
        )
    )
    for column, name in enumerate(RECONSTRUCTION_SCORES):
        found = ExplainableReconstructionScore(tiny_model, name, ivar, 0.2)(flux)
        torch.testing.assert_close(found.float(), columns[:, column], rtol=1e-6, atol=0, equal_nan=True)


def test_twice_the_same_bits() -> None:
    score, flux = explained("ivar_chi2_all_97")
    assert torch.equal(score(flux[None]), score(flux[None]))


@pytest.mark.parametrize("preset", ["paper", "reference-code"])
def test_occlusion_of_a_frozen_score_is_the_window_of_its_residuals(preset: str) -> None:
    """Known in closed form: what the pasted pixels' squared residuals are above the baseline's."""
    score, flux = explained("ivar_chi2_all_100", frozen=True)
    assert score.frozen is not None
    good = score.ivar > 0
    baseline = torch.full_like(flux, 0.9)
    request = OcclusionRequest(flux, baseline[None], good)
    settings = OcclusionSettings(preset=preset, windows=(1, 4), baselines=1)  # type: ignore[arg-type]
    occluder = DenseOccluder(lambda spectra: -score(spectra), 10**7, score.model.floats_per_pixel)
    found = attribute(occluder, lambda spectra: -score(spectra), request, settings)
    pasted = torch.where(good, flux, baseline)
    excess = ((pasted - score.frozen) ** 2 - (baseline - score.frozen) ** 2) * score.ivar / good.sum()
    np.testing.assert_allclose(found.maps[0], excess.numpy(), atol=1e-7)
    assert found.log_prob_spectrum == pytest.approx(-float(score(flux[None])))


def test_occlusion_of_a_live_score_finds_the_spike() -> None:
    score, flux = explained("ivar_chi2_all_100")
    typical = torch.ones(3, PIXELS, dtype=torch.float64) * torch.tensor([[0.95], [1.0], [1.05]])
    flux = torch.ones_like(flux)
    flux[20] = 6.0
    request = OcclusionRequest(flux, typical, score.ivar > 0)
    settings = OcclusionSettings(windows=(1, 4, 16), baselines=3)
    occluder = DenseOccluder(lambda spectra: -score(spectra), 10**7, score.model.floats_per_pixel)
    found = attribute(occluder, lambda spectra: -score(spectra), request, settings)
    assert found.maps[0].argmax() == 20
    assert (found.maps[:, [3, 11, 12, 30]] == 0).all()


def test_captum_explains_it() -> None:
    attr = pytest.importorskip("captum.attr", reason="optional extra bench")
    score, flux = explained("ivar_chi2_all_100")
    batch, baseline = torch.stack([flux, 1.2 * flux]), torch.ones(2, PIXELS, dtype=torch.float64)
    paths = attr.IntegratedGradients(score).attribute(batch, baseline, n_steps=64)
    torch.testing.assert_close(paths.sum(dim=1), score(batch) - score(baseline), rtol=1e-6, atol=1e-9)
    windows = attr.Occlusion(score).attribute(
        batch, sliding_window_shapes=(4,), strides=(4,), baselines=baseline, perturbations_per_eval=8
    )
    without = batch.clone()
    without[:, 4:8] = 1.0
    torch.testing.assert_close(windows[:, 5].double(), score(batch) - score(without), rtol=1e-5, atol=0)


def test_an_unknown_score_is_refused_with_the_names() -> None:
    with pytest.raises(ConfigurationError, match=r"no reconstruction score(.|\n)*ivar_chi2_all_100"):
        ExplainableReconstructionScore(LinearModel(), "chi2", torch.ones(PIXELS), 0.1)


def test_another_grid_is_refused() -> None:
    with pytest.raises(BugError, match=rf"got: \(7,\)(.|\n)*allowed: \({GRID.size},\)"):
        ExplainableReconstructionScore(LinearModel(), "ivar_mse_all_100", torch.ones(7), 0.1)
