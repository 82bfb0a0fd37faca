"""Blind scorers: no method blames what they cannot see."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.gradient_times_input import GradientSettings
from engine.attribution.integrated_gradients import IntegratedGradientsSettings
from engine.attribution.methods import method_of
from engine.attribution.occlusion.method import OCCLUSION
from engine.attribution.occlusion.settings import of_preset
from engine.attribution.plain_occlusion import PlainOcclusionSettings
from engine.attribution.subject import Subject, subject_of
from engine.evaluation.blind_scorer import blind_subject, unseen_windows
from models.errors import BugError
from models.scoring.scoring_model import ScoringModel


def odd_spectrum(model: ScoringModel) -> tuple[Subject, np.ndarray]:
    """A decoded galaxy with noise, something injected in it, and the pixels it is on."""
    random = np.random.default_rng(4)
    ivar = np.full(model.card.grid.size, 100.0, dtype=np.float32)
    ivar[random.random(len(ivar)) < 0.02] = 0.0
    flux = model.baselines(0.2, np.array([5])).numpy()[0] + 0.1 * random.standard_normal(len(ivar))
    injected = np.zeros(len(ivar), dtype=np.bool_)
    injected[3000:3090] = True
    flux = np.where(ivar > 0, flux + injected, 0).astype(np.float32)
    return subject_of(model.double(), flux, ivar, 0.2, memory_bytes=2**26), injected


@pytest.mark.parametrize("preset", ["paper", "reference-code"])
def test_what_the_scorer_cannot_see_gets_exactly_nothing(tiny_model: ScoringModel, preset: str) -> None:
    given, injected = odd_spectrum(tiny_model)
    blind = blind_subject(tiny_model, given, injected)
    settings = of_preset(preset, windows=(1, 16, 64), baselines=2)  # type: ignore[arg-type]
    effects = OCCLUSION.attribute(blind, settings).window_effects
    checked = unseen_windows(effects, injected)
    assert checked > 60
    # The scorer that sees them does blame them: the check can fail.
    seeing = OCCLUSION.attribute(given, settings).window_effects
    with pytest.raises(BugError, match="does not see"):
        unseen_windows(seeing, injected)
    for other in (
        GradientSettings(),
        IntegratedGradientsSettings(baselines=2),
        PlainOcclusionSettings("zero", (1,)),
    ):
        found = method_of(other).attribute(blind, other).combined
        assert not found[injected].any()
        assert found[~injected].any()
