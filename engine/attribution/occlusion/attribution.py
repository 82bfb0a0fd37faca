"""Effects of all windows on one spectrum, and the attribution that a combination makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution, peak_of
from engine.attribution.occlusion.combine import COMBINATIONS, scale_map, shares
from engine.attribution.occlusion.request import Occluder, OcclusionRequest
from engine.attribution.occlusion.settings import CombinationName, OcclusionSettings
from engine.attribution.occlusion.windows import Scale, scales_of
from models.errors import BugError, ConfigurationError, ErrorKind, QuarantineError
from models.spectrum_model import LogProb


@dataclass(frozen=True, eq=False)
class WindowEffects:
    """What pasting each window does, before it becomes maps: what all combinations of one spacing share.

    Attributes
    ----------
    settings : how windows were laid.
    scales : the distinct windows of each width.
    differences : per scale, (M, number of windows) float64: score of the baselines with the window pasted,
        less that without.
    good : (N,) bool, False where the spectrum is masked.
    score : of the spectrum; baseline_scores : (M,) float64, of the baselines.
    """

    settings: OcclusionSettings
    scales: tuple[Scale, ...]
    differences: tuple[NDArray[np.float64], ...]
    good: NDArray[np.bool_]
    score: float
    baseline_scores: NDArray[np.float64]

    def of_baselines(self, chosen: slice | NDArray[np.int64]) -> WindowEffects:
        """The same with some of the baselines only."""
        return replace(
            self,
            differences=tuple(part[chosen] for part in self.differences),
            baseline_scores=self.baseline_scores[chosen],
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class OcclusionAttribution(Attribution):
    """An attribution by occlusion; what a value means depends on the settings, see the module ``combine``.

    Attributes
    ----------
    window_effects : what it was made from, for those who combine it otherwise.
    """

    window_effects: WindowEffects


def window_effects(
    occluder: Occluder, log_prob: LogProb, request: OcclusionRequest, settings: OcclusionSettings
) -> WindowEffects:
    """What pasting windows of ``request``'s spectrum does: all passes through the model.

    ``log_prob`` must be the model that ``occluder`` occludes; here it is only asked for the scores
    of the spectrum and of the baselines, one at a time.

    Raises
    ------
    ConfigurationError : the request does not hold ``settings.baselines`` baselines.
    QuarantineError : a score is not finite, so this spectrum has no explanation.
    """
    if len(request.baselines) != settings.baselines:
        raise ConfigurationError(
            "The number of baselines is not the one in the settings.",
            where="occlusion settings, baselines",
            got=f"{len(request.baselines)} baselines given, {settings.baselines} in the settings",
            allowed="equal numbers",
            remedy="Draw as many baselines as the settings say, or correct the settings.",
            kind=ErrorKind.OCCLUSION_BASELINES,
        )
    good = request.good.cpu().numpy()
    scales = tuple(scale.pasting(good) for scale in scales_of(settings, request.pixels))
    differences = tuple(part.double().cpu().numpy() for part in occluder.differences(request, scales))
    shapes = [part.shape for part in differences]
    wanted = [(settings.baselines, len(scale)) for scale in scales]
    if shapes != wanted:
        raise BugError(
            "The occluder did not return one difference per baseline and window.",
            where=f"occlusion by {type(occluder).__name__}",
            got=shapes,
            allowed=wanted,
            remedy="Report this with the settings and the model's name.",
            kind=ErrorKind.OCCLUSION_SHAPE,
        )
    known = torch.cat([request.spectrum[None], request.baselines])
    with torch.no_grad():
        scores = -torch.cat([log_prob(row[None]) for row in known]).double().cpu().numpy()
    _refuse_non_finite(scores, differences, settings)
    return WindowEffects(settings, scales, differences, good, float(scores[0]), scores[1:])


def combined(effects: WindowEffects, combination: CombinationName) -> OcclusionAttribution:
    """The attribution that ``combination`` makes of effects."""
    spacing, windows = effects.settings.spacing, effects.settings.windows
    pairs = [
        scale_map(spacing, scale, part)
        for scale, part in zip(effects.scales, effects.differences, strict=True)
    ]
    maps, spread = np.stack([mean for mean, _ in pairs]), np.stack([sigma for _, sigma in pairs])
    contributions = COMBINATIONS[combination](maps, spread, effects.good)
    total = contributions.sum(axis=0).astype(np.float32)
    pixel, window = peak_of(total, contributions, windows, effects.good)
    widths = np.array(windows, dtype=np.int64)
    return OcclusionAttribution(
        scales=widths,
        maps=maps.astype(np.float32),
        spread=spread.astype(np.float32),
        combined=total,
        score=effects.score,
        baseline_scores=effects.baseline_scores,
        peak_pixel=pixel,
        peak_scale=window,
        shares=shares(spacing, widths),
        window_effects=effects,
    )


def _refuse_non_finite(
    scores: NDArray[np.float64],
    differences: tuple[NDArray[np.float64], ...],
    settings: OcclusionSettings,
) -> None:
    counts = [int((~np.isfinite(part)).sum()) for part in differences]
    if np.isfinite(scores).all() and not any(counts):
        return
    raise QuarantineError(
        "A spectrum cannot be explained: the model's score is not finite.",
        where="occlusion",
        got=f"score of the spectrum {scores[0]:g}; "
        f"{int((~np.isfinite(scores[1:])).sum())} of {settings.baselines} baselines not finite; "
        f"differences not finite by window width: {dict(zip(settings.windows, counts, strict=True))}",
        allowed="finite scores",
        remedy="Quarantine the spectrum; if many fail, the density fails so far from its data.",
        kind=ErrorKind.NON_FINITE_LOG_PROB,
    )
