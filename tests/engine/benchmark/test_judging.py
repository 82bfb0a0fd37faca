"""Judging: maps come from the door that runs use, and controls know what a scorer cannot see."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.attribution.gradient_times_input import GradientSettings
from engine.attribution.methods import method_of
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.residual import ResidualSettings
from engine.attribution.saliency import SaliencySettings
from engine.attribution.segments.exact_shapley import ExactShapleySettings
from engine.attribution.segments.lime import LimeSettings
from engine.benchmark.contenders import Contender, own_contender, random_contender, stranger
from engine.benchmark.field import Field
from engine.benchmark.judging import Case
from engine.benchmark.measures import measures_of
from engine.benchmark.removal_curves import curve_measures
from engine.evaluation.localisation import REACH, localise
from models.errors import ConfigurationError


@pytest.fixture(scope="module")
def case(field: Field) -> Case:
    return field.judge.case(field.detected[0])


OWN = (
    GradientSettings(),
    SaliencySettings(),
    ResidualSettings(),
    OcclusionSettings(windows=(64,), baselines=2),
)


@pytest.mark.parametrize("settings", OWN, ids=lambda each: each.method)
def test_measures_are_those_of_the_map_that_a_run_would_make(case: Case, settings: object) -> None:
    found = case.judged(own_contender(settings))  # type: ignore[arg-type]
    attribution = method_of(settings).attribute(case.subject, settings).combined  # type: ignore[arg-type]
    known = localise(attribution, case.place)
    assert found.measures["auc"] == known.auc
    assert found.measures["located"] == known.located
    curves = curve_measures(attribution, case.removal)
    assert {name: found.measures[name] for name in curves} == curves
    assert set(found.measures) == {each.name for each in measures_of("truth", "faithfulness")}
    assert found.seconds > 0
    assert not found.failure


def test_the_peak_of_a_segment_is_its_middle(case: Case) -> None:
    settings = LimeSettings(width=512, samples=64)
    found = method_of(settings).attribute(case.subject, settings)
    assert found.peak_pixel != int(found.combined.argmax())
    located = case.place.distance()[found.peak_pixel] <= REACH
    assert case.judged(own_contender(settings)).measures["located"] == located


def test_quick_scores_are_the_scores(case: Case) -> None:
    spectra = torch.stack([case.subject.flux, case.subject.flux * 1.01]).double()
    np.testing.assert_allclose(case.removal.scores(spectra.numpy()), case.subject.scores(spectra), rtol=1e-4)


def test_only_methods_that_explain_the_score_leave_the_blind_half_alone(case: Case) -> None:
    gradient = case.controlled(own_contender(SaliencySettings())).measures
    assert (gradient["leak"], gradient["exact_zero"], gradient["decoy"], gradient["decoyed"]) == (0, 1, 0, 0)
    occlusion = case.controlled(own_contender(OcclusionSettings(windows=(1, 64), baselines=2))).measures
    assert (occlusion["leak"], occlusion["exact_zero"]) == (0, 1)
    assert occlusion["settings_sensitivity"] > 0
    residual = case.controlled(own_contender(ResidualSettings(windows=(1,)))).measures
    # It sees the loud lines there, whatever the score sees.
    assert residual["exact_zero"] == 0
    assert residual["decoy"] > 0.05
    assert residual["model_contrast"] == pytest.approx(0, abs=0.3)
    nothing = case.controlled(random_contender()).measures
    assert nothing["random_weights"] == pytest.approx(1)
    assert nothing["noise_sensitivity"] > 0.5
    assert nothing["decoyed"] in (0, 1)
    assert math.isnan(nothing["settings_sensitivity"])


def test_a_function_of_strangers_is_judged_but_not_by_changed_models(case: Case) -> None:
    def significance(flux: np.ndarray, ivar: np.ndarray, redshift: float) -> np.ndarray:
        assert (flux.dtype, ivar.dtype) == (np.float32, np.float32)
        assert redshift == case.redshift
        return np.abs(flux - np.median(flux)) * np.sqrt(ivar)

    mine = stranger("mine", significance)
    assert case.judged(mine).measures["auc"] >= 0
    controls = case.controlled(mine).measures
    assert 0 < controls["noise_sensitivity"] < 1
    for name in ("leak", "exact_zero", "random_weights", "model_contrast"):
        assert math.isnan(controls[name])


def broken(flux: np.ndarray, ivar: np.ndarray, redshift: float) -> np.ndarray:
    raise ZeroDivisionError("on purpose")


def short(flux: np.ndarray, ivar: np.ndarray, redshift: float) -> np.ndarray:
    return flux[:-1]


def unsure(flux: np.ndarray, ivar: np.ndarray, redshift: float) -> np.ndarray:
    return np.full_like(flux, np.nan)


@pytest.mark.parametrize(
    ("contender", "why"),
    [
        (stranger("broken", broken), "A method failed. ZeroDivisionError: on purpose"),
        (stranger("short", short), "A method gave no map of the spectrum."),
        (stranger("unsure", unsure), "its attribution is not finite"),
        (own_contender(ExactShapleySettings(width=64)), "segments"),
    ],
    ids=lambda each: each.name if isinstance(each, Contender) else "",
)
def test_what_does_not_explain_is_counted_with_its_reason(case: Case, contender: Contender, why: str) -> None:
    for found in (case.judged(contender), case.controlled(contender)):
        assert why in found.failure
        assert all(math.isnan(each) for each in found.measures.values())


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be that of a file"):
        stranger(name, broken)
