"""Methods of attribution behind their door: what each finds in simple models, and what all promise."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.attribution.aggregate import AggregateSettings
from engine.attribution.attribution import Attribution
from engine.attribution.expected_gradients import ExpectedGradientsSettings
from engine.attribution.explainer import Explainer
from engine.attribution.extremal_masks import ExtremalMasksSettings
from engine.attribution.gradient_times_input import GradientSettings
from engine.attribution.integrated_gradients import IntegratedGradientsSettings
from engine.attribution.method import GRADIENT_PASSES, MethodSettings
from engine.attribution.methods import METHODS, method_of
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.plain_occlusion import PlainOcclusionSettings
from engine.attribution.repair import RepairSettings
from engine.attribution.residual import ResidualSettings
from engine.attribution.saliency import SaliencySettings
from engine.attribution.segment_gradients import SegmentGradientsSettings
from engine.attribution.segments.exact_shapley import ExactShapleySettings
from engine.attribution.segments.kernel_shap import KernelShapSettings
from engine.attribution.segments.lime import LimeSettings
from engine.attribution.segments.minimal_set import MinimalSetSettings
from engine.attribution.segments.permutation_shapley import PermutationSettings
from engine.attribution.segments.ranked_regions import RankedRegionsSettings
from engine.attribution.segments.settings import SegmentSettings
from engine.attribution.segments.sobol import SobolSettings
from engine.attribution.smooth_gradient import SmoothGradientSettings
from engine.attribution.subject import Subject, subject_of
from engine.attribution.wavelet_attribution import WaveletSettings
from engine.attribution.wavelet_sobol import WaveletSobolSettings
from engine.spectra.scored_spectra import SelectedSpectra
from models.errors import ConfigurationError, QuarantineError
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import LogProb

PIXELS, BASELINES = 60, 3
SLOPE = torch.linspace(-2, 3, PIXELS, dtype=torch.float64)
SMALL: tuple[MethodSettings, ...] = (
    OcclusionSettings(windows=(1, 16), baselines=BASELINES),
    PlainOcclusionSettings(windows=(1, 16), baselines=BASELINES),
    GradientSettings(),
    IntegratedGradientsSettings(baselines=BASELINES),
    ResidualSettings(windows=(1, 16)),
    LimeSettings(width=10, samples=40),
    KernelShapSettings(width=10, samples=40),
    PermutationSettings(width=10, permutations=4),
    ExactShapleySettings(width=10),
    SobolSettings(width=10, samples=4),
    MinimalSetSettings(width=10),
    RankedRegionsSettings(widths=(4, 16), baselines=BASELINES),
    SaliencySettings(),
    SmoothGradientSettings(samples=4),
    ExpectedGradientsSettings(baselines=BASELINES, samples=6, most_samples=12),
    SegmentGradientsSettings(segments=2, shortest=2, longest=9, samples=8),
    RepairSettings(),
    WaveletSettings("haar", depth=2),
    WaveletSobolSettings("haar", depth=2, blocks=16, samples=2),
    ExtremalMasksSettings(areas=(4, 16), steps=4),
    AggregateSettings(("gradient-times-input", "segment-gradients")),
)


OF_PIECES = {
    "occlusion", "plain-occlusion", "extremal-masks", "lime", "kernel-shap", "permutation-shapley",
    "exact-shapley", "minimal-set",
}  # fmt: skip
"""Methods whose maps hold what pieces add to the score, in nat: cautions compare it with the score's rise."""


def name_of(settings: MethodSettings) -> str:
    return settings.method


def quadratic(spectra: torch.Tensor) -> torch.Tensor:
    return -(SLOPE**2 * spectra.double() ** 2).sum(dim=1)


@dataclass
class Drawn:
    """A decoder of three baselines that draws nothing in any spectrum, and counts what it is asked."""

    size: int = PIXELS
    asked: list[str] = field(default_factory=list)

    @property
    def calibration_size(self) -> int:
        self.asked.append("calibration_size")
        return BASELINES

    def baselines(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        self.asked.append("baselines")
        random = torch.Generator().manual_seed(1)
        return torch.randn(BASELINES, self.size, generator=random, dtype=torch.float64)[chosen]

    def reconstructions(self, spectra: torch.Tensor) -> torch.Tensor:
        self.asked.append("reconstructions")
        return torch.zeros_like(spectra)


@dataclass
class Anew:
    """A model that holds nothing, draws zero wherever it does not see, and calls a score of 20 usual."""

    given: LogProb
    asked: list[str] = field(default_factory=list)

    def drawn_from(self, spectra: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        self.asked.append("drawn_from")
        return torch.where(seen, spectra, 0.0)

    def log_prob(self, flux: torch.Tensor) -> LogProb:
        self.asked.append("log_prob")
        assert flux.shape == (PIXELS,)
        return self.given

    def usual_log_prob(self, tail_probability: float) -> float:
        self.asked.append("usual_log_prob")
        assert 0 < tail_probability < 1
        return -20.0


def subject(log_prob: LogProb = quadratic, seed: int = 0) -> Subject:
    random = torch.Generator().manual_seed(seed)
    ivar = 1 + torch.rand(PIXELS, generator=random, dtype=torch.float64)
    ivar[[7, 31, 32]] = 0.0
    return Subject(torch.randn(PIXELS, generator=random), ivar, 0.1, log_prob, Drawn(), anew=Anew(log_prob))


def attributed(given: Subject, settings: MethodSettings) -> Attribution:
    return method_of(settings).attribute(given, settings)


def test_residuals_are_in_units_of_their_noise() -> None:
    given = subject()
    good = given.good.numpy()
    flux, ivar = given.flux.double().numpy(), given.ivar.numpy()
    one, four = attributed(given, ResidualSettings((1, 4))).maps
    np.testing.assert_allclose(one, np.abs(flux) * np.sqrt(ivar))
    for pixel in (0, 1, 20, 58, 59):
        window = slice(max(pixel - 2, 0), min(pixel + 2, PIXELS))
        mean = np.average(flux[window], weights=ivar[window])
        np.testing.assert_allclose(four[pixel], np.abs(mean) * np.sqrt(ivar[window].sum()))
    assert not four[~good].any()


def test_residuals_of_noise_have_unit_variance_at_every_width() -> None:
    random = torch.Generator().manual_seed(3)
    ivar = 0.5 + torch.rand(20_000, generator=random, dtype=torch.float64)
    noise = torch.randn(20_000, generator=random, dtype=torch.float64) / torch.sqrt(ivar)
    given = Subject(noise.float(), ivar, 0.1, lambda flux: flux.sum(dim=1), Drawn(20_000))
    widths = (1, 16, 64)
    for width, residual in zip(widths, attributed(given, ResidualSettings(widths)).maps, strict=True):
        scatter = float((residual**2).mean())
        assert abs(scatter - 1) < 5 * np.sqrt(2 * width / 20_000)


def test_gradients_of_a_quadratic_score() -> None:
    given = subject()
    expected = torch.where(given.good, 2 * SLOPE**2 * given.flux.double() ** 2, 0).numpy()
    np.testing.assert_allclose(attributed(given, GradientSettings()).combined, expected)


def test_integrated_gradients_add_up_to_the_score() -> None:
    given = subject()
    found = attributed(given, IntegratedGradientsSettings(BASELINES))
    baselines = given.decoder.baselines(np.arange(BASELINES))
    flux = given.flux.double()
    terms = SLOPE**2 * (flux**2 - baselines**2)
    good = given.good.numpy()
    expected = np.where(good, terms.mean(dim=0).numpy(), 0)
    np.testing.assert_allclose(found.combined, expected, atol=1e-12)
    np.testing.assert_allclose(found.spread[0], np.where(good, terms.numpy().std(axis=0), 0), atol=1e-12)
    assert not found.combined[~good].any()


def test_plain_occlusion_is_the_score_less_that_without_the_window() -> None:
    given = subject()
    level = float(given.flux[given.good].mean())
    one, four = attributed(given, PlainOcclusionSettings("mean flux", (1, 4))).maps
    good, flux = given.good, given.flux.double()
    gain = torch.where(good, SLOPE**2 * (flux**2 - level**2), 0).numpy()
    np.testing.assert_allclose(one, gain, atol=1e-12)
    np.testing.assert_allclose(four[20], gain[18:22].sum(), atol=1e-12)
    assert not four[~good.numpy()].any()


@pytest.mark.parametrize("settings", SMALL, ids=name_of)
def test_every_method_keeps_the_promises_of_an_attribution(settings: MethodSettings) -> None:
    given = subject()
    method, found = method_of(settings), attributed(given, settings)
    good = given.good.numpy()
    assert tuple(found.scales.tolist()) == method.scales(settings)
    assert found.maps.shape == found.spread.shape == (len(found.scales), PIXELS)
    for part in (found.maps, found.spread, found.combined[None]):
        assert np.isfinite(part).all()
        assert not part[:, ~good].any()
    assert good[found.peak_pixel]
    assert found.combined[found.peak_pixel] == found.combined[good].max()
    assert found.peak_scale in found.scales
    assert found.score == pytest.approx(-float(quadratic(given.flux[None])))
    assert (found.baseline is None) == (len(found.baseline_scores) == 0)
    assert np.isnan(found.baseline_score) == (found.baseline is None)
    assert (found.shares is not None) == (settings.method in OF_PIECES)


@pytest.mark.parametrize("settings", SMALL, ids=name_of)
def test_a_method_asks_of_a_model_what_it_says_and_nothing_else(settings: MethodSettings) -> None:
    asked: list[str] = []

    def log_prob(spectra: torch.Tensor) -> torch.Tensor:
        asked.append("gradient" if torch.is_grad_enabled() else "forward")
        return quadratic(spectra)

    given = subject(log_prob)
    attributed(given, settings)
    assert isinstance(given.decoder, Drawn)
    assert isinstance(given.anew, Anew)
    asked += ["decoder"] * bool(given.decoder.asked) + ["anew"] * bool(given.anew.asked)
    assert set(asked) == method_of(settings).needs


@pytest.mark.parametrize("settings", SMALL, ids=name_of)
def test_a_spectrum_without_finite_density_has_no_explanation(settings: MethodSettings) -> None:
    with pytest.raises(QuarantineError, match=r"cannot be explained(.|\n)*score of the spectrum nan"):
        attributed(subject(lambda spectra: quadratic(spectra) * torch.nan), settings)


@pytest.mark.parametrize("settings", SMALL, ids=name_of)
def test_settings_survive_json_and_refuse_what_they_do_not_know(settings: MethodSettings) -> None:
    kind = type(settings)
    assert kind.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert kind.from_dict({}) == kind()
    with pytest.raises(ConfigurationError, match=rf"where: {settings.method} settings\n  got: nonsense"):
        kind.from_dict({"nonsense": 1})


@pytest.mark.parametrize("name", ["baselines", "seed", "steps"])
def test_paths_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"integrated-gradients settings, {name}\n  got: -1"):
        IntegratedGradientsSettings(**{name: -1})


def test_every_method_is_known_by_its_name_and_says_what_it_costs() -> None:
    assert [method.name for method in METHODS.values()] == list(METHODS)
    assert {settings.method for settings in SMALL} == set(METHODS)
    passes = {each.method: method_of(each).passes(each, PIXELS) for each in SMALL}
    # Windows of 16 pixels lie two pixels apart.
    of_windows = 1 + PIXELS + PIXELS // 2
    assert passes == {
        "occlusion": BASELINES * of_windows,
        "plain-occlusion": of_windows,
        "gradient-times-input": GRADIENT_PASSES,
        "integrated-gradients": GRADIENT_PASSES * 16 * BASELINES,
        "residual": 1,
        # Six segments.
        "lime": 40,
        "kernel-shap": 40 + 2,
        "permutation-shapley": 4 * 5 + 2,
        "exact-shapley": 2**6,
        "sobol": 4 * (6 + 2),
        "minimal-set": 2 + 6 + 5 + 4 + 3 + 2 + 1,
        "ranked-regions": GRADIENT_PASSES * 16 * BASELINES,
        "saliency": GRADIENT_PASSES,
        "smooth-gradient": GRADIENT_PASSES * 4,
        "expected-gradients": GRADIENT_PASSES * 6,
        "segment-gradients": GRADIENT_PASSES * 8,
        "wavelet-sobol": 2 * (16 * 3 + 2),
        "wavelet": GRADIENT_PASSES * 16,
        "extremal-masks": (GRADIENT_PASSES + 1) * 4 * 2,
        "aggregate": GRADIENT_PASSES * 65,
        "repair": 4 * 6 * (GRADIENT_PASSES + 2),
    }


def test_settings_that_do_not_suit_a_model_are_refused_before_any_work(tiny_model: ScoringModel) -> None:
    for settings, text in (
        (OcclusionSettings(baselines=10**6), "occlusion settings, baselines\n  got: 1000000"),
        (OcclusionSettings(windows=(1, 10**6)), "occlusion settings, windows\n  got: 1000000"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            method_of(settings).refuse(settings, tiny_model.card, tiny_model.calibration_size)


def observed(model: ScoringModel) -> SelectedSpectra:
    """A decoded galaxy with noise, and something odd in it."""
    random = np.random.default_rng(4)
    ivar = np.full(model.card.grid.size, 100.0, dtype=np.float32)
    ivar[random.random(len(ivar)) < 0.02] = 0.0
    ivar[1000:1040] /= 400  # errors beyond those that the encoder sees
    flux = model.baselines(0.2, np.array([5])).numpy()[0] + 0.1 * random.standard_normal(len(ivar))
    flux[3000:3090] += 1.0
    flux = np.where(ivar > 0, flux, 0).astype(np.float32)
    return SelectedSpectra(np.array([3]), np.array([0.2]), flux[None], ivar[None], np.zeros(1, np.int8))


@pytest.mark.parametrize("settings", SMALL, ids=name_of)
def test_a_run_explains_by_any_method(settings: MethodSettings, tiny_model: ScoringModel) -> None:
    if isinstance(settings, SegmentSettings):
        settings = replace(settings, width=1300)  # six of the model's pixels too
    selected = observed(tiny_model)
    explained = Explainer(tiny_model, settings).explain(selected).one(0)
    given = subject_of(tiny_model.double(), selected.flux[0], selected.ivar[0], 0.2)
    direct = attributed(given, settings)
    np.testing.assert_array_equal(explained.maps, direct.maps.astype(np.float32))
    np.testing.assert_array_equal(explained.combined, direct.combined.astype(np.float32))
    assert explained.scales == method_of(settings).scales(settings)
    first = explained.places[0]
    inside = np.abs(tiny_model.card.grid.wavelength() - first.wavelength) <= first.width / 2
    # Of a map of wide blocks many pixels are as high as the peak.
    assert direct.combined[inside].max() == direct.combined[direct.peak_pixel]
    assert first.rest_wavelength == first.wavelength / 1.2
    assert np.isnan(explained.baseline).all() == (direct.baseline is None)


def test_a_subject_is_scored_as_the_model_scores_it(tiny_model: ScoringModel) -> None:
    selected = observed(tiny_model)
    given = subject_of(tiny_model.double(), selected.flux[0], selected.ivar[0], 0.2)
    redshift = torch.tensor([given.redshift], dtype=torch.float64)
    outputs = tiny_model.outputs(given.flux[None].double(), given.ivar[None], redshift)
    torch.testing.assert_close(-given.log_prob(given.flux[None].double()), outputs.score)
    torch.testing.assert_close(given.reconstruction, outputs.reconstruction[0])
    hidden = replace(given, flux=torch.where(given.good, given.flux, 9.0))
    np.testing.assert_allclose(
        attributed(hidden, GradientSettings()).combined,
        attributed(given, GradientSettings()).combined,
        rtol=1e-9,
        atol=1e-12,
    )


def test_who_opens_a_store_knows_all_methods_and_needs_no_torch() -> None:
    code = "import sys, engine.store.reading; from engine.attribution.methods import METHODS; "
    code += "assert len(METHODS) > 1; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
