"""Inverse multiscale occlusion in one call: effects of all windows, combined as the settings say."""

from __future__ import annotations

from engine.attribution.occlusion.attribution import OcclusionAttribution, combined, window_effects
from engine.attribution.occlusion.request import Occluder, OcclusionRequest
from engine.attribution.occlusion.settings import OcclusionSettings
from models.spectrum_model import LogProb


def attribute(
    occluder: Occluder, log_prob: LogProb, request: OcclusionRequest, settings: OcclusionSettings
) -> OcclusionAttribution:
    """The attribution of the request's spectrum; ``occluder`` occludes the model ``log_prob``."""
    return combined(window_effects(occluder, log_prob, request, settings), settings.combination)
