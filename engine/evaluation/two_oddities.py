"""Two oddities, the published headline: a narrow and a wide one in a spectrum, and what maps show of both.

A line with two peaks, and an offset of the calibration over one arm (Shen & Melchior, arXiv 2310.20012).
Small windows should find the line, wide ones the offset, the combined map both. A map shows a region if it
ranks the region's pixels above those outside of both: an offset over an arm is no peak.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.baselines import BaselineSource
from engine.attribution.gradient_times_input import GRADIENT_TIMES_INPUT, GradientSettings
from engine.attribution.memory import DEFAULT_MEMORY
from engine.attribution.occlusion.attribution import combined
from engine.attribution.occlusion.combine import COMBINATIONS
from engine.attribution.occlusion.inverse_occlusion import baselines_of, effects_into
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.plain_occlusion import PLAIN_OCCLUSION, PlainOcclusionSettings
from engine.attribution.subject import Subject, subject_of
from engine.evaluation.detectors import tail_probabilities
from engine.evaluation.explained_injections import NEAREST, PUBLISHED
from engine.evaluation.injected_spectra import CleanSpectra, InjectedSpectra
from engine.evaluation.localisation import pixel_auc
from engine.simulation.anomalies import AnomalyKind
from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.scorer import as_float32
from engine.spectra.spectra import Spectra
from models.errors import ErrorKind, InputError
from models.spectrum_model import SpectrumModel

LINE, STEP = AnomalyKind.DOUBLE_PEAKED_LINES, AnomalyKind.ARM_STEP
PLAIN = 16
"""Window of plain occlusion in the published comparison, pixels."""
_SOURCES: tuple[BaselineSource, ...] = ("random", "nearest")
_MOST_MOVED = 0.05
"""Relative change of the flux outside of the step, through the normalisation."""


@dataclass(frozen=True, eq=False)
class TwoOddities:
    """One spectrum with two anomalies, and its maps.

    Attributes
    ----------
    wavelength : (N,) observed Angstrom.
    flux, ivar : (N,) as scored, anomalies included; clean_flux : (N,) without them.
    line, step : (N,) bool, pixels of the two anomalies; those of the line are not among the step's.
    redshift, tail_probability : of the spectrum with both.
    windows : (W,) widths; maps : (W, N), of inverse occlusion; near_maps : (W, N), of that into the
        nearest baselines.
    others : maps (N,) by name: combinations over windows, gradient x input, plain occlusion.
    """

    wavelength: NDArray[np.float64]
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    clean_flux: NDArray[np.float32]
    line: NDArray[np.bool_]
    step: NDArray[np.bool_]
    redshift: float
    tail_probability: float
    windows: NDArray[np.int64]
    maps: NDArray[np.float32]
    near_maps: NDArray[np.float32]
    others: dict[str, NDArray[np.floating]]

    def prominence(self, attribution: NDArray[np.floating], region: NDArray[np.bool_]) -> float:
        """Highest value in ``region`` over the highest outside both anomalies; 0 where it is not positive.

        Above 1 the map's highest point outside is lower: the region is shown. Infinite where nothing
        outside is positive.
        """
        good = self.ivar > 0
        inside = float(attribution[good & region].max(initial=0.0))
        outside = float(attribution[good & ~self.line & ~self.step].max(initial=0.0))
        if inside <= 0.0:
            return 0.0
        return inside / outside if outside > 0.0 else float("inf")

    def ranking(self, attribution: NDArray[np.floating], region: NDArray[np.bool_]) -> float:
        """Probability that a pixel in ``region`` is higher than one outside both anomalies; 0.5 by chance."""
        other = ~self.line & ~self.step
        compared = (self.ivar > 0) & (region | other)
        return pixel_auc(attribution[compared], region[compared])

    def shown(self, attribution: NDArray[np.floating]) -> tuple[float, float]:
        """Prominence of the line and of the step."""
        return self.prominence(attribution, self.line), self.prominence(attribution, self.step)

    def ranked(self, attribution: NDArray[np.floating]) -> tuple[float, float]:
        """Ranking of the line and of the step."""
        return self.ranking(attribution, self.line), self.ranking(attribution, self.step)


def two_oddities(
    model: SpectrumModel,
    clean: CleanSpectra,
    row: int,
    line_strength: float,
    step_strength: float,
    memory_bytes: int = DEFAULT_MEMORY,
    settings: OcclusionSettings | None = None,
) -> TwoOddities:
    """Inject a double-peaked line and a step into one spectrum, and explain it.

    Parameters
    ----------
    clean : spectra that both kinds can be injected into, see
        :func:`engine.evaluation.injected_spectra.prepare_clean_spectra`.
    row : one of :func:`able_rows`.
    line_strength, step_strength : in sigma.
    settings : of inverse occlusion; None for a run's.
    """
    model = copy.deepcopy(model).double()
    spectrum = _with_both(clean, row, line_strength, step_strength)
    flux, ivar = spectrum.flux[0], spectrum.ivar[0]
    redshift = float(spectrum.rows["redshift"][0])
    subject = subject_of(model, flux, ivar, redshift, memory_bytes=memory_bytes)
    settings = settings or OcclusionSettings()
    drawn, near = (
        effects_into(subject, baselines_of(subject, source, settings), settings) for source in _SOURCES
    )
    others: dict[str, NDArray[np.floating]] = {}
    for prefix, effects in (("", drawn), (NEAREST, near)):
        others |= {prefix + name: combined(effects, name).combined for name in COMBINATIONS}
    others["gradient x input"] = GRADIENT_TIMES_INPUT.attribute(subject, GradientSettings()).combined
    for replacement in ("zero", "mean baseline"):
        plain = PlainOcclusionSettings(replacement, (PLAIN,), settings.baselines, settings.seed)
        others[f"occlusion by {replacement}"] = PLAIN_OCCLUSION.attribute(subject, plain).maps[0]
    published = combined(drawn, PUBLISHED)
    step = clean.inject(STEP, step_strength, np.array([row])).injected[0]
    line = clean.inject(LINE, line_strength, np.array([row])).injected[0] & ~step
    return TwoOddities(
        wavelength=clean.card.grid.wavelength(),
        flux=flux,
        ivar=ivar,
        clean_flux=clean.normalised.flux[row],
        line=line,
        step=step,
        redshift=redshift,
        tail_probability=_tail(model, subject, clean.normalised.rows["snr"][[row]]),
        windows=published.scales,
        maps=published.maps,
        near_maps=combined(near, PUBLISHED).maps,
        others=others,
    )


def _tail(model: SpectrumModel, subject: Subject, snr: NDArray[np.floating]) -> float:
    """Tail probability of one spectrum; ``snr`` (1,) is that before injecting."""
    with torch.no_grad():
        score = as_float32(-subject.log_prob(subject.flux.double()[None]))
    return float(model.tail_probability(score, snr, np.array([subject.redshift]))[0])


def _with_both(
    clean: CleanSpectra, row: int, line_strength: float, step_strength: float
) -> NormalisedSpectra:
    """The one spectrum with both anomalies, as scored."""
    shapes = (clean.shapes[LINE][row], clean.shapes[STEP][row])
    change = sum(
        np.float32(strength) * shape.change
        for shape, strength in zip(shapes, (line_strength, step_strength), strict=True)
        if shape is not None
    )
    one = clean.spectra.take(np.array([row]))
    flux = (one.flux + change).astype(np.float32)
    return normalise(Spectra(one.grid, flux, one.ivar, one.rows), clean.card, ())


def able_rows(
    model: SpectrumModel,
    clean: CleanSpectra,
    line_strength: float,
    step_strength: float,
    threshold: float,
) -> list[int]:
    """Rows that carry both apart, and in which the model detects either alone; the clearest first.

    Clearest is the row in which the less odd of the two is oddest. One with a low signal is not chosen for
    its noise: tail probabilities are among spectra of the same signal-to-noise ratio.

    Parameters
    ----------
    threshold : largest tail probability of a detection.

    Raises
    ------
    InputError : there is none.
    """
    able = np.intersect1d(clean.carriers(LINE, line_strength), clean.carriers(STEP, step_strength))
    model = copy.deepcopy(model).double()
    found: list[tuple[float, int]] = []
    for row in able.tolist():
        line = clean.inject(LINE, line_strength, np.array([row]))
        step = clean.inject(STEP, step_strength, np.array([row]))
        if not len(line) or not len(step) or not _apart(line, step):
            continue
        if not _with_both(clean, row, line_strength, step_strength).scorable[0]:
            continue
        larger = max(float(tail_probabilities(model, each)[0]) for each in (line, step))
        if larger <= threshold:
            found.append((larger, row))
    if found:
        return [row for _, row in sorted(found)]
    raise InputError(
        "No spectrum has a double-peaked line and a step that are apart and both detected.",
        where=f"{len(clean)} clean spectra",
        got=f"line of {line_strength:g} sigma, step of {step_strength:g} sigma; {len(able)} carry both",
        remedy="Simulate more spectra, or ask for more strength, or for less if none can carry it.",
        kind=ErrorKind.TWO_ODDITIES,
    )


def _apart(line: InjectedSpectra, step: InjectedSpectra) -> bool:
    """Most of the line's strength lies outside the step, and the step leaves what is outside where it was."""
    share = line.change[0].astype(np.float64) ** 2 * line.ivar[0]
    # A step under the windows of the normalisation would move the rest of the spectrum instead.
    outside = (step.ivar[0] > 0) & ~step.injected[0]
    moved = float(step.flux[0][outside].sum() / step.clean_flux[0][outside].sum()) - 1
    return bool(share[~step.injected[0]].sum() > 0.5 * share.sum()) and abs(moved) < _MOST_MOVED
