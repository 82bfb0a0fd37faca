"""Inverse occlusion: pieces of the spectrum, of every width, pasted into baselines."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.attribution.baselines import BaselineSource, typical_spectra
from engine.attribution.occlusion.attribution import (
    OcclusionAttribution,
    WindowEffects,
    combined,
    window_effects,
)
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.seams import occluder_of
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.subject import Subject
from engine.spectra.scorer import as_float32


def attribute(subject: Subject, settings: OcclusionSettings) -> OcclusionAttribution:
    """See :class:`engine.attribution.method.AttributionMethod`."""
    baselines = baselines_of(subject, settings.baseline_source, settings)
    found = combined(effects_into(subject, baselines, settings), settings.combination)
    return replace(found, baseline=as_float32(baselines.mean(dim=0)))


def baselines_of(subject: Subject, source: BaselineSource, settings: OcclusionSettings) -> Tensor:
    """As many baselines (M, N) as the settings say, from ``source``.

    Raises
    ------
    ConfigurationError : the model has fewer calibration spectra.
    """
    return typical_spectra(subject, source, settings.baselines, settings.seed)


def effects_into(subject: Subject, baselines: Tensor, settings: OcclusionSettings) -> WindowEffects:
    """What pasting windows into ``baselines`` (M, N) does: all passes through the model.

    Raises
    ------
    ConfigurationError : there are not as many baselines as the settings say.
    QuarantineError : a log probability is not finite, so this spectrum has no explanation.
    """
    with torch.inference_mode():
        request = OcclusionRequest(subject.flux, baselines.to(subject.flux.dtype), subject.good)
        occluder = occluder_of(subject.log_prob, subject.memory_bytes, subject.floats_per_pixel)
        return window_effects(occluder, lambda spectra: subject.log_prob(spectra.double()), request, settings)
