"""One simulated spectrum: source, anomaly, noise and masks, from seed and index alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from engine.simulation.anomalies import Anomaly, AnomalyKind
from engine.simulation.detector_anomalies import Exposure, change_exposure
from engine.simulation.galaxies import Source, SourceKind, draw_galaxy
from engine.simulation.instrument import Instrument, drawn_instrument
from engine.simulation.light_anomalies import Light, change_light
from engine.simulation.point_sources import draw_quasar, draw_star
from engine.simulation.randomness import Stream, generator
from engine.simulation.rest_frame import Floats
from engine.simulation.settings import SimulationSettings
from engine.simulation.templates import GalaxyTemplates

KINDS = tuple(kind for kind in AnomalyKind if not kind.held_out)
"""What a release holds, in the order by which its random numbers choose."""


class RowKind(StrEnum):
    """What a row of a release is."""

    TARGET = "target"
    SKY_FIBRE = "sky_fibre"
    STUCK = "stuck"
    BAD_FIBRE = "bad_fibre"


@dataclass(frozen=True)
class ArmSpectrum:
    """What one arm holds.

    Attributes
    ----------
    flux, ivar : (pixels,) float32.
    masked : (pixels,) whether the pixel is masked; ``ivar`` is 0 there.
    truth : (pixels,) float64, the flux without noise, anomaly included.
    sky : (pixels,) float64, the sky that was subtracted.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    masked: NDArray[np.bool_]
    truth: Floats
    sky: Floats


@dataclass(frozen=True)
class SimulatedSpectrum:
    """One row of a release, with its truth.

    Attributes
    ----------
    index : place in the release.
    row_kind : target, sky fibre, or broken in some way.
    source : what the fibre saw, before noise; flux all 0 where there was nothing.
    anomaly : what was done to it, or None.
    instrument : with which it was observed.
    arms : per arm, the data.
    depth : exposure depth relative to the survey's usual.
    snr : median of flux * sqrt(ivar) over good pixels; 0 without any.
    """

    index: int
    row_kind: RowKind
    source: Source
    anomaly: Anomaly | None
    instrument: Instrument
    arms: tuple[ArmSpectrum, ...]
    depth: float
    snr: float


def simulate_spectrum(
    settings: SimulationSettings, index: int, templates: GalaxyTemplates | None, *, clean: bool = False
) -> SimulatedSpectrum:
    """Spectrum ``index`` of the release that ``settings`` describe.

    It depends on the seed, the index and the shares of what a release holds, not on the number of
    spectra or files. ``clean`` gives its twin without the anomaly: same galaxy, same noise.
    """
    random = generator(settings.seed, Stream.SOURCE, index)
    row_kind, source_kind, from_templates, carries = roles(settings, random)
    observing = generator(settings.seed, Stream.INSTRUMENT, index)
    camera = drawn_instrument(settings, observing)
    source = _source(random, camera, row_kind, source_kind, templates if from_templates else None)
    kind = None
    odd = generator(settings.seed, Stream.ANOMALY, index)
    if carries:
        # Drawn also for the clean twin: the stream is its own, so nothing else moves.
        kind = KINDS[int(odd.integers(len(KINDS)))]
    return _observe(index, row_kind, source, camera, observing, odd, None if clean else kind)


def roles(
    settings: SimulationSettings, random: np.random.Generator
) -> tuple[RowKind, SourceKind | None, bool, bool]:
    """What a row is, its source where that is no galaxy, whether from templates, whether with an anomaly."""
    row, source, template, outlier, half = random.random(5)
    row_kind = RowKind.TARGET
    if row < settings.sky_fraction:
        row_kind = RowKind.SKY_FIBRE
    elif row < settings.sky_fraction + settings.broken_fraction:
        row_kind = RowKind.STUCK if half < 0.5 else RowKind.BAD_FIBRE
    kind = None
    if source < settings.quasar_fraction:
        kind = SourceKind.QUASAR
    elif source < settings.quasar_fraction + settings.star_fraction:
        kind = SourceKind.STAR
    carries = row_kind is RowKind.TARGET and kind is None and outlier < settings.outlier_fraction
    return row_kind, kind, bool(template < settings.template_fraction), carries


def _source(
    random: np.random.Generator,
    camera: Instrument,
    row_kind: RowKind,
    kind: SourceKind | None,
    templates: GalaxyTemplates | None,
) -> Source:
    if row_kind in (RowKind.SKY_FIBRE, RowKind.STUCK):
        dark = tuple(np.zeros(arm.grid.size) for arm in camera.arms)
        return Source(SourceKind.SKY, float("nan"), float("nan"), 0.0, dark, ())
    magnitudes = (camera.brightest, camera.faintest)
    if kind is SourceKind.QUASAR:
        return draw_quasar(random, camera.arms, magnitudes)
    if kind is SourceKind.STAR:
        return draw_star(random, camera.arms, magnitudes)
    return draw_galaxy(random, camera.arms, magnitudes, templates)


def _observe(
    index: int,
    row_kind: RowKind,
    source: Source,
    camera: Instrument,
    observing: np.random.Generator,
    odd: np.random.Generator,
    kind: AnomalyKind | None,
) -> SimulatedSpectrum:
    depth = float(np.clip(np.exp(0.45 * observing.standard_normal()), 0.4, 3.0))
    level, atomic, hydroxyl = camera.sky_level * np.exp(
        np.array([0.15, 0.3, 0.3]) * observing.standard_normal(3)
    )
    atomic, hydroxyl = atomic / camera.sky_level, hydroxyl / camera.sky_level
    residual, shift = 0.006 * observing.standard_normal(2)
    skies = [part.night(level, atomic, hydroxyl) for part in camera.skies]
    lines = [part.lines(level, atomic, hydroxyl) for part in camera.skies]
    noise = [observing.standard_normal(arm.grid.size) for arm in camera.arms]
    masks = [_mask(observing, arm.grid.size, line) for arm, line in zip(camera.arms, lines, strict=True)]
    variance = [camera.variance(i, flux, skies[i], lines[i], depth) for i, flux in enumerate(source.flux)]
    truth, anomaly = source.flux, None
    if kind is not None and kind.astrophysical:
        sigma = tuple(np.where(m, np.inf, np.sqrt(v)) for m, v in zip(masks, variance, strict=True))
        anomaly, truth = change_light(odd, kind, Light(camera.arms, source.flux, sigma, source.redshift))
        variance = [
            np.where(new == old, v, camera.variance(i, new, skies[i], lines[i], depth))
            for i, (new, old, v) in enumerate(zip(truth, source.flux, variance, strict=True))
        ]
    flux = [
        t + n * np.sqrt(v) + residual * line + shift * np.gradient(line)
        for t, n, v, line in zip(truth, noise, variance, lines, strict=True)
    ]
    ivar = [np.where(m, 0.0, 1.0 / v) for m, v in zip(masks, variance, strict=True)]
    exposure = Exposure(camera.arms, tuple(flux), truth, tuple(ivar))
    if kind is not None and not kind.astrophysical:
        anomaly, exposure = change_exposure(odd, kind, exposure)
    arms = tuple(
        ArmSpectrum(f.astype(np.float32), i.astype(np.float32), m, t, s)
        for f, i, m, t, s in zip(exposure.flux, exposure.ivar, masks, exposure.truth, skies, strict=True)
    )
    if row_kind is RowKind.STUCK:
        arms = tuple(emptied(arm) for arm in arms)
    return SimulatedSpectrum(index, row_kind, source, anomaly, camera, arms, depth, median_snr(arms))


def _mask(random: np.random.Generator, size: int, sky_lines: Floats) -> NDArray[np.bool_]:
    """A few bad pixels: single ones, and now and then a column of up to a dozen."""
    masked = random.random(size) < 0.001
    for _ in range(int(random.poisson(0.35))):
        first, length = int(random.integers(size)), int(random.integers(2, 13))
        masked[first : first + length] = True
    # The brightest airglow can saturate the sky model.
    masked |= (sky_lines > 0.6 * sky_lines.max()) & (random.random() < 0.05)
    return masked


def emptied(arm: ArmSpectrum) -> ArmSpectrum:
    """``arm`` without data, as a stuck positioner leaves it."""
    return replace(
        arm, flux=np.zeros_like(arm.flux), ivar=np.zeros_like(arm.ivar), truth=np.zeros_like(arm.truth)
    )


def median_snr(arms: tuple[ArmSpectrum, ...]) -> float:
    """Median of flux * sqrt(ivar) over the good pixels of all ``arms``; 0 without any."""
    flux, ivar = np.concatenate([a.flux for a in arms]), np.concatenate([a.ivar for a in arms])
    good = ivar > 0
    return float(np.median(flux[good] * np.sqrt(ivar[good]))) if np.any(good) else 0.0
