"""Blind scorer: it cannot see the injected pixels, so whatever an explanation says of them is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.attribution.occlusion.attribution import WindowEffects
from engine.attribution.occlusion.combine import scale_map
from engine.attribution.subject import Subject, subject_of
from models.errors import BugError, ErrorKind
from models.spectrum_model import SpectrumModel


def blind_subject(model: SpectrumModel, subject: Subject, unseen: NDArray[np.bool_]) -> Subject:
    """The same spectrum for the same model, for which the ``unseen`` (N,) pixels are masked.

    All that may be asked of the model is blind to them: score, reconstructions, the model anew. For methods
    of attribution they are not masked: their windows paste these pixels as before.
    """
    ivar = np.where(unseen, 0, subject.ivar.cpu().numpy())
    flux, memory = subject.flux.cpu().numpy(), subject.memory_bytes
    blind = subject_of(model, flux, ivar, subject.redshift, memory_bytes=memory)
    return replace(blind, ivar=subject.ivar)


def unseen_windows(effects: WindowEffects, unseen: NDArray[np.bool_]) -> int:
    """How many windows paste nothing that a blind scorer sees; the attribution of each must be exactly 0.

    Raises
    ------
    BugError : one is not.
    """
    seen = np.concatenate(([0], np.cumsum(effects.good & ~unseen)))
    checked = 0
    for scale, differences in zip(effects.scales, effects.differences, strict=True):
        inside = seen[scale.stop] == seen[scale.start]
        checked += int(inside.sum())
        typical, spread = scale_map(effects.settings.spacing, scale, differences)
        pixels = (scale.of_pixel >= 0) & inside[scale.of_pixel]
        largest = max(np.abs(typical[pixels]).max(initial=0.0), np.abs(spread[pixels]).max(initial=0.0))
        if largest > 0.0:
            raise BugError(
                "An explanation gives attribution to pixels that the scorer does not see.",
                where=f"occlusion with windows of {scale.window} pixels",
                got=f"attribution up to {largest:g}",
                allowed="exactly 0",
                remedy="Report this with the model's name and the evaluation's settings.",
                kind=ErrorKind.BLIND_SCORER,
            )
    return checked
