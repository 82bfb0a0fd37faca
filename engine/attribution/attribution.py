"""Attribution: how much of a spectrum's oddness each pixel is responsible for, whatever method found it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import ErrorKind, QuarantineError

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False, kw_only=True)
class Attribution:
    """What a method finds in one spectrum of N pixels, at S scales.

    Positive raises the score: it makes the spectrum odd. All maps are exactly 0 at masked pixels.

    Attributes
    ----------
    scales : (S,) int64, increasing: how many pixels a value of each map speaks for.
    maps : (S, N), one map per scale.
    spread : (S, N), standard deviation of the maps over baselines (ddof = 0), not of the mean; of a method
        that draws samples, the standard error of the maps; 0 of any other.
    combined : (N,), the maps brought together.
    score : of the spectrum as the model was given it, in nat.
    baseline_scores : (M,) float64, of the baselines; empty for a method without.
    baseline : (N,) float32, mean of the baselines; None for a method without.
    shares : (S,), the part that a map gives a pixel of what its whole piece adds to the score, in nat; None
        of a method whose maps hold no effects of pieces, such as slopes or shares of variance.
    peak_pixel : the good pixel where ``combined`` is largest, the bluest of equals, of methods on segments
        the middle one in a row; -1 if none is good.
    peak_scale : the scale that adds most to ``combined`` at ``peak_pixel``, the narrowest of equals; 0 if no
        pixel is good.
    """

    scales: NDArray[np.int64]
    maps: Floats
    spread: Floats
    combined: Floats
    score: float
    baseline_scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    baseline: NDArray[np.float32] | None = None
    shares: NDArray[np.float64] | None = None
    peak_pixel: int
    peak_scale: int

    @property
    def baseline_score(self) -> float:
        """Mean score of the baselines; NaN for a method without."""
        return float(self.baseline_scores.mean()) if len(self.baseline_scores) else float("nan")

    @property
    def unaccounted(self) -> float:
        """Share of the score's rise above its baselines that the combined map does not add up to.

        Near 0 for methods that promise completeness, whatever for others; NaN without baselines.
        """
        rise = self.score - self.baseline_score
        return abs(float(self.combined.sum()) - rise) / max(abs(rise), 1e-300)

    @property
    def responses(self) -> Floats:
        """(S,), the largest value of each map; with ``shares`` the largest effect of a piece, in nat."""
        shares = np.ones(len(self.scales)) if self.shares is None else self.shares
        found: Floats = (self.maps / shares[:, None]).max(axis=1)
        return found


def peak_of(
    combined: Floats, contributions: Floats, scales: Sequence[int], good: NDArray[np.bool_]
) -> tuple[int, int]:
    """Pixel and scale of the peak, see :class:`Attribution`.

    Parameters
    ----------
    combined : (N,) map; contributions : (S, N), what each of the S ``scales`` adds to it.
    good : (N,) bool, False where the spectrum is masked.
    """
    if not good.any():
        return -1, 0
    # Masked pixels hold 0, which may be the largest value: they never are the peak.
    pixel = int(np.where(good, combined, -np.inf).argmax())
    return pixel, scales[int(contributions[:, pixel].argmax())]


def attribution_of(
    subject: Subject,
    scales: Sequence[int],
    maps: NDArray[np.float64],
    *,
    contributions: NDArray[np.float64] | None = None,
    spread: NDArray[np.float64] | None = None,
    baselines: Tensor | None = None,
    shares: NDArray[np.float64] | None = None,
) -> Attribution:
    """The attribution that maps (S, N) are, one per scale; what they hold at masked pixels does not count.

    Parameters
    ----------
    contributions : (S, N), what each scale adds to the combined map; None for its share of the mean.
    spread : (S, N); None for none.
    baselines : (M, N) that the maps were made with; None for a method without.
    shares : (S,), see :class:`Attribution`.

    Raises
    ------
    QuarantineError : a map or a score is not finite, so this spectrum has no explanation.
    """
    good = subject.good.cpu().numpy()
    maps = np.where(good, maps, 0.0)
    added = maps / len(maps) if contributions is None else np.where(good, contributions, 0.0)
    combined = added.sum(axis=0)
    score = float(subject.scores(subject.flux[None])[0])
    baseline_scores = np.empty(0) if baselines is None else subject.scores(baselines)
    bad = int((~np.isfinite(maps)).sum())
    if bad or not np.isfinite(score) or not np.isfinite(baseline_scores).all():
        raise QuarantineError(
            "A spectrum cannot be explained: its attribution is not finite.",
            where="attribution",
            got=f"{bad} values of the maps not finite; score of the spectrum {score:g}; "
            f"{int((~np.isfinite(baseline_scores)).sum())} of {len(baseline_scores)} baselines not finite",
            allowed="finite maps and scores",
            remedy="Quarantine the spectrum; if many fail, the model fails so far from its data.",
            kind=ErrorKind.NON_FINITE_LOG_PROB,
        )
    pixel, scale = peak_of(combined, added, scales, good)
    return Attribution(
        scales=np.array(scales, dtype=np.int64),
        maps=maps,
        spread=np.zeros_like(maps) if spread is None else np.where(good, spread, 0.0),
        combined=combined,
        score=score,
        baseline_scores=baseline_scores,
        baseline=None if baselines is None else baselines.mean(dim=0).float().cpu().numpy(),
        shares=shares,
        peak_pixel=pixel,
        peak_scale=scale,
    )
