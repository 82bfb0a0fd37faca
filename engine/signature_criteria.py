"""What decides which failure signatures an explanation carries. NumPy alone.

Most criteria look at the *core* of the combined map: the good pixels where it is at least half as high as
at its peak. That is what a reader sees and believes, and it does not change with the units of the map.
Every limit below was set on explanations of simulated spectra; docs/signatures.md has the rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.occlusion.attribution import Attribution
from engine.occlusion.settings import OcclusionSettings, PresetName
from engine.signatures import NOTHING, Signature
from engine.sky_lines import near_bright_sky_line
from models.model_card import ModelCard

UNIFORM_SHARE = 0.5
"""Least share of the good pixels in the core. A planted tilt has less."""

EDGE_PIXELS, WIDEST_EDGE = 8, 64
"""A peak is at an edge within so many pixels and half its window, counted up to the latter: the widest
windows are clipped over a tenth of the spectrum, which is no edge any more."""

RESPONSE_SHARE = 0.1
"""Least share of what is to be explained, ln p of the baselines less that of the spectrum, that some window
must bring about."""

RESPONDING = 0.25
"""Scales whose largest effect is at least this share of the largest of all have a say on agreement."""

DRIVEN_SHARE, DRIVEN_EXCESS = 0.5, 3.0
"""Share of the core's attribution on suspect pixels, and how many times more that must be than their share
of all good pixels: where every second pixel is suspect, it means nothing that the core is on them."""

MASK_REACH = 4
"""Pixels next to masked ones that share their trouble: the wings of a cosmic ray, of a bad column."""

LEAST_GOOD = 0.5
"""Share of good pixels, of the grid and of the window at the peak, below which masks decide."""

NOISY, NEIGHBOURS, WIDEST_SKY = 0.25, 101, 16
"""Noise rises sharply where the inverse variance is below this share of its median over so many good pixels.
A window reaches half its width beyond such a pixel, counted up to the last number of pixels."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What the criteria see of one explanation.

    Attributes
    ----------
    core : share of the good pixels that are in the core.
    edge : pixels from the peak to the nearest end of what spectrum and baselines cover.
    window : width at the peak in pixels, 0 where there is no peak.
    response : largest effect of any window over what is to be explained; infinite where that is nothing
        and a window has an effect.
    agreement : largest mean over spread where a responding scale's map is at least half its largest.
    masked, sky : share of the core's attribution on suspect pixels, 0 unless the peak is on one.
    masked_area, sky_area : these pixels' share of all good ones.
    good : share of the grid's pixels that are good; window_good : of the window at the peak.
    """

    core: float
    edge: float
    window: int
    response: float
    agreement: float
    masked: float
    masked_area: float
    sky: float
    sky_area: float
    good: float
    window_good: float


class SignatureCriteria:
    """Finds the signatures of a model's explanations.

    Parameters
    ----------
    card : of the model: grid, range of redshift and S/N, rest-frame coverage of the baselines.
    settings : of the occlusion.
    """

    def __init__(self, card: ModelCard, settings: OcclusionSettings) -> None:
        self._card, self._preset = card, settings.preset
        self._wavelength = card.grid.wavelength()
        self._sky_lines = near_bright_sky_line(self._wavelength)

    def signatures(
        self,
        attribution: Attribution,
        ivar: NDArray[np.floating],
        redshift: float,
        signal_to_noise: float,
    ) -> Signature:
        """What one explanation carries.

        Parameters
        ----------
        attribution : the explanation.
        ivar : (N,) inverse variance of the spectrum as scored, 0 where masked.
        redshift : of the spectrum; signal_to_noise : its median per good pixel.
        """
        found = decided(self.measures(attribution, ivar, redshift))
        card = self._card
        if not card.redshift_min <= redshift <= card.redshift_max:
            found |= Signature.OUTSIDE_RANGE
        if not card.snr_min <= signal_to_noise <= card.snr_max:
            found |= Signature.OUTSIDE_RANGE
        return found

    def measures(self, attribution: Attribution, ivar: NDArray[np.floating], redshift: float) -> Measures:
        """The numbers that decide; arguments as for :meth:`signatures`."""
        good = np.asarray(ivar > 0)
        combined = np.where(good, attribution.combined, 0.0).astype(np.float64)
        peak, window = attribution.peak_pixel, attribution.peak_window
        core = good & (combined >= 0.5 * combined.max(initial=0.0)) & (combined > 0.0)
        masked = _beside_masked(good)
        sky = good & _widened(self._sky_lines | _noisy(ivar, good), min(window // 2, WIDEST_SKY))
        first, stop = max(peak - window // 2, 0), min(peak - window // 2 + window, len(good))
        return Measures(
            core=_share(core, good),
            edge=self._to_edge(peak, good, redshift),
            window=window,
            response=_response(attribution, self._preset),
            agreement=_agreement(attribution, good, self._preset),
            masked=_carried(combined, core, masked, peak),
            masked_area=_share(masked, good),
            sky=_carried(combined, core, sky, peak),
            sky_area=_share(sky, good),
            good=float(good.mean()),
            window_good=float(good[first:stop].mean()) if window else 0.0,
        )

    def _to_edge(self, peak: int, good: NDArray[np.bool_], redshift: float) -> float:
        """Pixels from the peak to the nearest end of the good pixels or of the baselines' coverage."""
        card, where = self._card, np.flatnonzero(good)
        if peak < 0 or not len(where):
            return float("inf")
        rest = card.rest_start + card.rest_step * np.array([0.0, card.rest_size - 1.0])
        covered = card.grid.pixel(np.power(10.0, rest) * (1.0 + redshift))
        # Beyond their coverage baselines are constant: whatever peaks there is past the edge.
        first, last = max(where[0], covered[0]), min(where[-1], covered[1])
        return float(min(peak - first, last - peak))


def decided(measures: Measures) -> Signature:
    """The signatures that follow from the measures."""
    found = NOTHING
    if measures.core >= UNIFORM_SHARE:
        found |= Signature.UNIFORM
    if measures.edge <= EDGE_PIXELS + min(measures.window // 2, WIDEST_EDGE):
        found |= Signature.EDGE
    if measures.response < RESPONSE_SHARE:
        found |= Signature.NO_RESPONSE
    if measures.agreement < 1.0:
        found |= Signature.BASELINES_DISAGREE
    few = min(measures.good, measures.window_good) < LEAST_GOOD
    if few or _driven(measures.masked, measures.masked_area):
        found |= Signature.MASKED
    if _driven(measures.sky, measures.sky_area):
        found |= Signature.SKY_LINES
    return found


def _driven(share: float, area: float) -> bool:
    return share >= DRIVEN_SHARE and share >= DRIVEN_EXCESS * area


def _effects(attribution: Attribution, preset: PresetName) -> NDArray[np.float64]:
    """What whole windows do, (W, N): a tiled preset's maps share it out among the window's pixels."""
    maps = attribution.maps.astype(np.float64)
    return maps * attribution.windows[:, None] if preset == "reference-code" else maps


def _response(attribution: Attribution, preset: PresetName) -> float:
    wanted = float(attribution.log_prob_baselines.mean()) - attribution.log_prob_spectrum
    largest = float(_effects(attribution, preset).max(initial=0.0))
    if largest <= 0.0:
        return 0.0
    return largest / wanted if wanted > 0.0 else 0.0


def _agreement(attribution: Attribution, good: NDArray[np.bool_], preset: PresetName) -> float:
    largest = _effects(attribution, preset).max(axis=1, initial=0.0)
    if not largest.max(initial=0.0) > 0.0:
        return 0.0
    best = 0.0
    for place in np.flatnonzero(largest >= RESPONDING * largest.max()):
        mean, spread = attribution.maps[place][good], attribution.spread[place][good]
        top = mean >= 0.5 * mean.max()
        with np.errstate(divide="ignore", over="ignore"):
            best = max(best, float((mean[top] / spread[top]).max()))
    return best


def _beside_masked(good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Good pixels within MASK_REACH of a masked one; the ends of what is covered are edges, not masks."""
    where = np.flatnonzero(good)
    if not len(where):
        return np.zeros_like(good)
    inside = np.zeros_like(good)
    inside[where[0] : where[-1]] = True
    return np.asarray(good & _widened(~good & inside, MASK_REACH))


def _noisy(ivar: NDArray[np.floating], good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Good pixels whose inverse variance is far below that of the good pixels around."""
    found = np.zeros_like(good)
    known = ivar[good].astype(np.float64)
    if len(known) >= NEIGHBOURS:
        padded = np.pad(known, NEIGHBOURS // 2, mode="reflect")
        around = np.median(np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS), axis=1)
        found[good] = known < NOISY * around
    return found


def _widened(which: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """``which`` (N,) and all within so many pixels of it."""
    before = np.concatenate([[0], np.cumsum(which)])
    place = np.arange(len(which))
    stop, start = np.minimum(place + pixels + 1, len(which)), np.maximum(place - pixels, 0)
    return np.asarray(before[stop] > before[start])


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float(part.sum() / max(int(whole.sum()), 1))


def _carried(
    combined: NDArray[np.float64], core: NDArray[np.bool_], suspect: NDArray[np.bool_], peak: int
) -> float:
    """Share of the core's attribution on suspect pixels; 0 where the peak is on none."""
    if peak < 0 or not suspect[peak] or not core.any():
        return 0.0
    return float(combined[core & suspect].sum() / combined[core].sum())
