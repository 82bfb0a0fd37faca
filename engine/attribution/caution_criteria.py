"""Criteria of the cautions that an explanation carries.

Most criteria look at the *core* of the combined map: the good pixels where it is at least half as high as
at its peak. That is what a reader sees and believes, and it does not change with the units of the map.
Every limit below was set on explanations of simulated spectra; docs/numbers.md has the rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution
from engine.attribution.cautions import NOTHING, Caution
from engine.attribution.places import STANDING_OUT, standing_out
from models.model_card import ModelCard
from models.signal_to_noise import signal_to_noise
from models.sky_lines import near_bright_sky_line

EDGE_PIXELS, WIDEST_EDGE = 8, 64
"""A peak is at an edge within so many pixels and half its window, counted up to the latter: the widest
windows are clipped over a tenth of the spectrum, which is no edge any more."""

RESPONSE_SHARE = 0.1
"""Some piece must bring about at least this share of what is to be explained, the spectrum's score less that
of the baselines. How many nat that is does not matter: whether baselines agree is a caution of its own."""

RESPONDING = 0.25
"""Scales whose response is at least this share of the largest of all have a say on agreement."""

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

OWN_LIGHT = 0.5
"""Photons of a source's bright line raise the variance no more than the flux. So noise is the source's own
where the flux over its median around is at least this part of the variance over its median."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What the criteria see of one explanation.

    Attributes
    ----------
    standing_out : share of the highest point that is above the floor, see
        :func:`engine.attribution.places.standing_out`; infinite where nothing is positive.
    edge : pixels from the peak to the nearest end of what spectrum and baselines cover; infinite where no
        attribution is positive.
    scale : at the peak in pixels, 0 where there is no peak.
    excess : what is to be explained, the spectrum's score less the baselines', in nat; NaN without.
    response : the largest effect of a piece of any scale, in nat; of maps that hold no such effects infinite
        if they are positive anywhere, else 0.
    agreement : largest mean over spread where a responding scale's map is at least half its largest;
        infinite where no scale responds.
    masked, sky : share of the core's attribution on suspect pixels, 0 unless the peak is on one.
    masked_area, sky_area : these pixels' share of all good ones.
    good : share of the grid's pixels that are good; scale_good : of the piece of that scale at the peak.
    """

    standing_out: float
    edge: float
    scale: int
    excess: float
    response: float
    agreement: float
    masked: float
    masked_area: float
    sky: float
    sky_area: float
    good: float
    scale_good: float


class CautionCriteria:
    """Finds the cautions of a model's explanations.

    Parameters
    ----------
    card : of the model: grid, range of redshift and S/N, rest-frame coverage of the baselines.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._wavelength = card.grid.wavelength()
        self._sky_lines = near_bright_sky_line(self._wavelength)

    def cautions(
        self,
        attribution: Attribution,
        flux: NDArray[np.float32],
        ivar: NDArray[np.float32],
        redshift: float,
    ) -> Caution:
        """What one explanation carries.

        Parameters
        ----------
        attribution : the explanation.
        flux, ivar : (N,) the spectrum as scored; ``ivar`` is 0 where masked.
        redshift : of the spectrum.
        """
        found = decided(self.measures(attribution, flux, ivar, redshift))
        card = self._card
        if not card.redshift_min <= redshift <= card.redshift_max:
            found |= Caution.OUTSIDE_RANGE
        ratio = float(signal_to_noise(torch.from_numpy(flux)[None], torch.from_numpy(ivar)[None])[0])
        if not card.snr_min <= ratio <= card.snr_max:
            found |= Caution.OUTSIDE_RANGE
        return found

    def measures(
        self,
        attribution: Attribution,
        flux: NDArray[np.floating],
        ivar: NDArray[np.floating],
        redshift: float,
    ) -> Measures:
        """The numbers that decide; arguments as for :meth:`cautions`."""
        good = np.asarray(ivar > 0)
        combined = np.where(good, attribution.combined, 0.0).astype(np.float64)
        peak, scale = attribution.peak_pixel, attribution.peak_scale
        core = good & (combined >= 0.5 * combined.max(initial=0.0)) & (combined > 0.0)
        masked = _beside_masked(good)
        sky = good & _widened(self._sky_lines | _noisy(flux, ivar, good), min(scale // 2, WIDEST_SKY))
        first, stop = max(peak - scale // 2, 0), min(peak - scale // 2 + scale, len(good))
        return Measures(
            standing_out=standing_out(combined, good) if core.any() else float("inf"),
            edge=self._to_edge(peak, good, redshift) if core.any() else float("inf"),
            scale=scale,
            excess=attribution.score - attribution.baseline_score,
            response=_response(attribution),
            agreement=_agreement(attribution, good),
            masked=_carried(combined, core, masked, peak),
            masked_area=_share(masked, good),
            sky=_carried(combined, core, sky, peak),
            sky_area=_share(sky, good),
            good=float(good.mean()),
            scale_good=float(good[first:stop].mean()) if scale else 0.0,
        )

    def _to_edge(self, peak: int, good: NDArray[np.bool_], redshift: float) -> float:
        """Pixels from the peak to the nearest end of the good pixels or of the baselines' coverage."""
        card, where = self._card, np.flatnonzero(good)
        rest = card.rest_start + card.rest_step * np.array([0.0, card.rest_size - 1.0])
        covered = card.grid.pixel(np.power(10.0, rest) * (1.0 + redshift))
        # Beyond their coverage baselines are constant: whatever peaks there is past the edge.
        first, last = max(where[0], covered[0]), min(where[-1], covered[1])
        return float(min(peak - first, last - peak))


def decided(measures: Measures) -> Caution:
    """The cautions that follow from the measures."""
    found = NOTHING
    if measures.standing_out < STANDING_OUT:
        found |= Caution.UNIFORM
    if measures.edge <= EDGE_PIXELS + min(measures.scale // 2, WIDEST_EDGE):
        found |= Caution.EDGE
    if measures.response <= 0.0 or measures.response < RESPONSE_SHARE * measures.excess:
        found |= Caution.NO_RESPONSE
    if measures.excess <= 0.0:
        found |= Caution.ODD_BASELINES
    if measures.agreement < 1.0:
        found |= Caution.BASELINES_DISAGREE
    few = min(measures.good, measures.scale_good) < LEAST_GOOD
    if few or _driven(measures.masked, measures.masked_area):
        found |= Caution.MASKED
    if _driven(measures.sky, measures.sky_area):
        found |= Caution.SKY_LINES
    return found


def _driven(share: float, area: float) -> bool:
    return share >= DRIVEN_SHARE and share >= DRIVEN_EXCESS * area


def _response(attribution: Attribution) -> float:
    """The largest effect of a piece, see :class:`Measures`."""
    largest = float(attribution.responses.max(initial=0.0))
    return largest if attribution.shares is not None or largest <= 0.0 else float("inf")


def _agreement(attribution: Attribution, good: NDArray[np.bool_]) -> float:
    """Mean over spread, see :class:`Measures`."""
    responses = attribution.responses
    if not responses.max(initial=0.0) > 0.0:
        return float("inf")
    best = 0.0
    for place in np.flatnonzero(responses >= RESPONDING * responses.max()):
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


def _noisy(
    flux: NDArray[np.floating], ivar: NDArray[np.floating], good: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Good pixels whose variance is far above that of the good pixels around, and not by their own light."""
    found = np.zeros_like(good)
    if np.count_nonzero(good) >= NEIGHBOURS:
        variance = _over_median(1.0 / ivar[good].astype(np.float64))
        light = _over_median(flux[good].astype(np.float64))
        found[good] = (variance * NOISY > 1.0) & (light < OWN_LIGHT * variance)
    return found


def _over_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``values`` (n,) in units of their medians over neighbours; 0 where these are not positive."""
    padded = np.pad(values, NEIGHBOURS // 2, mode="reflect")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS), axis=1)
    return np.divide(values, around, out=np.zeros_like(values), where=around > 0)


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
