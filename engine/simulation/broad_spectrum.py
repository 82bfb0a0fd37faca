"""One spectrum of a broad population: source, brightness, night, flaws and anomaly, from seed and index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.simulation.broad_galaxies import NEAR_REDSHIFTS, Shape, draw_galaxy_shape
from engine.simulation.broad_points import draw_quasar_shape, draw_star_shape
from engine.simulation.detector_anomalies import Exposure, change_exposure
from engine.simulation.emission import EmissionLine
from engine.simulation.flux_flaws import Flaws, draw_flaws
from engine.simulation.galaxies import Source, SourceKind, flux_of_magnitude
from engine.simulation.instrument import Instrument, drawn_instrument
from engine.simulation.light_anomalies import Light, change_light
from engine.simulation.observed_night import Night, draw_night
from engine.simulation.point_templates import PointTemplates, load_point_templates
from engine.simulation.randomness import Stream, generator, log_uniform
from engine.simulation.rest_frame import Floats
from engine.simulation.settings import ReleaseName, SimulationSettings
from engine.simulation.sky_fibres import SkyFibres, load_sky_fibres
from engine.simulation.spectrum import (
    KINDS,
    ArmSpectrum,
    RowKind,
    SimulatedSpectrum,
    emptied,
    median_snr,
    roles,
    simulate_spectrum,
)
from engine.simulation.templates import GalaxyTemplates, load_galaxy_templates

SIGNAL_TO_NOISE: dict[ReleaseName, tuple[float, float]] = {
    "dr1": (1.0, 45.0),
    "edr": (1.0, 45.0),
    "legacy": (2.5, 75.0),
    "boss": (1.8, 70.0),
    "sdssv": (1.8, 70.0),
}
"""Range of the median signal-to-noise per pixel, drawn uniform in its logarithm."""


@dataclass(frozen=True)
class Ingredients:
    """What a broad population is made from, besides chance; each may be missing.

    Attributes
    ----------
    galaxies, points : redrock's templates.
    fibres : real sky.
    """

    galaxies: GalaxyTemplates | None
    points: PointTemplates | None
    fibres: SkyFibres | None


SpectrumMaker = Callable[[int], SimulatedSpectrum]


def spectrum_maker(settings: SimulationSettings) -> SpectrumMaker:
    """What makes spectrum i of the release that ``settings`` describe; their files are read once, here.

    Raises
    ------
    InputError : no templates, or no sky fibres, where the settings say they are.
    """
    if settings.population == "plain":
        templates = load_galaxy_templates(settings.templates) if settings.templates is not None else None
        return lambda index: simulate_spectrum(settings, index, templates)
    ingredients = load_ingredients(settings)
    return lambda index: simulate_broad(settings, index, ingredients)


def load_ingredients(settings: SimulationSettings) -> Ingredients:
    """Those that ``settings`` name; templates of points only where there are any points.

    Raises
    ------
    InputError : a directory does not hold what it should.
    """
    galaxies = points = fibres = None
    if settings.templates is not None:
        galaxies = load_galaxy_templates(settings.templates)
        if settings.quasar_fraction + settings.star_fraction > 0.0:
            points = load_point_templates(settings.templates)
    if settings.sky is not None:
        fibres = load_sky_fibres(settings.sky, settings.sky_share)
    return Ingredients(galaxies, points, fibres)


def simulate_broad(
    settings: SimulationSettings, index: int, ingredients: Ingredients, *, clean: bool = False
) -> SimulatedSpectrum:
    """Spectrum ``index``; ``clean`` gives its twin without the anomaly, all else the same."""
    random = generator(settings.seed, Stream.SOURCE, index)
    row_kind, source_kind, from_templates, carries = roles(settings, random)
    observing = generator(settings.seed, Stream.INSTRUMENT, index)
    camera = drawn_instrument(settings, observing)
    night = draw_night(generator(settings.seed, Stream.NIGHT, index), camera, ingredients.fibres)
    flaws = draw_flaws(generator(settings.seed, Stream.FLAWS, index), camera)
    if row_kind in (RowKind.SKY_FIBRE, RowKind.STUCK):
        dark = tuple(np.zeros(arm.grid.size) for arm in camera.arms)
        source = Source(SourceKind.SKY, float("nan"), float("nan"), 0.0, dark, ())
    else:
        used = ingredients if from_templates else Ingredients(None, None, ingredients.fibres)
        shape = _shape(settings, random, camera, source_kind, used)
        wanted = log_uniform(random, *_signal_to_noise(settings.release_name, shape))
        source = _bright(shape, camera, night, wanted)
    odd = generator(settings.seed, Stream.ANOMALY, index)
    kind = KINDS[int(odd.integers(len(KINDS)))] if carries and not clean else None
    masks = tuple(some | others for some, others in zip(night.masked, flaws.masked, strict=True))
    light, anomaly = source.flux, None
    if kind is not None and kind.astrophysical:
        variance = _variance(camera, night, source.flux)
        sigma = tuple(np.where(m, np.inf, np.sqrt(v)) for m, v in zip(masks, variance, strict=True))
        anomaly, light = change_light(odd, kind, Light(camera.arms, source.flux, sigma, source.redshift))
    exposure = _expose(observing, camera, night, flaws, light, source.flux, masks)
    if kind is not None and not kind.astrophysical:
        anomaly, exposure = change_exposure(odd, kind, exposure)
    arms = tuple(
        ArmSpectrum(f.astype(np.float32), i.astype(np.float32), m, t, s)
        for f, i, m, t, s in zip(exposure.flux, exposure.ivar, masks, exposure.truth, night.sky, strict=True)
    )
    if row_kind is RowKind.STUCK:
        arms = tuple(emptied(arm) for arm in arms)
    return SimulatedSpectrum(index, row_kind, source, anomaly, camera, arms, night.depth, median_snr(arms))


def _shape(
    settings: SimulationSettings,
    random: np.random.Generator,
    camera: Instrument,
    kind: SourceKind | None,
    used: Ingredients,
) -> Shape:
    if kind is SourceKind.QUASAR:
        return draw_quasar_shape(random, camera.arms, used.points, used.galaxies, settings.quasar_redshifts)
    if kind is SourceKind.STAR:
        return draw_star_shape(random, camera.arms, used.points)
    return draw_galaxy_shape(random, camera.arms, used.galaxies, settings.galaxy_redshifts)


def _signal_to_noise(release: ReleaseName, shape: Shape) -> tuple[float, float]:
    """Least and largest of such a source: distant galaxies are faint, stars may be bright."""
    low, high = SIGNAL_TO_NOISE[release]
    if shape.kind is SourceKind.STAR:
        return low, 2.0 * high
    if shape.kind is not SourceKind.QUASAR and shape.redshift > NEAR_REDSHIFTS[1]:
        return 0.3 * low, 0.5 * high
    return low, high


def _bright(shape: Shape, camera: Instrument, night: Night, wanted: float) -> Source:
    """``shape`` as bright as its median signal-to-noise in ``night`` asks.

    A pixel of level f, dark variance v and variance c per unit flux has the signal-to-noise s at the factor
    k with k f = (s^2 c + sqrt(s^4 c^2 + 4 s^2 v)) / 2; the median of those factors is the one wanted.
    """
    factors = []
    for flux, variance, electrons in zip(shape.flux, night.variance, camera.electrons, strict=True):
        per_flux = 1.0 / (electrons * night.depth)
        own = wanted**2 * per_flux
        factors.append(0.5 * (own + np.sqrt(own**2 + 4 * wanted**2 * variance)) / np.maximum(flux, 1e-6))
    factor = float(np.median(np.concatenate(factors)))
    bright = tuple(factor * values for values in shape.flux)
    lines = tuple(EmissionLine(line.name, line.wavelength, factor * line.area) for line in shape.lines)
    red = [
        values[(arm.wavelength > 6200.0) & (arm.wavelength < 6600.0)]
        for arm, values in zip(camera.arms, bright, strict=True)
    ]
    level = max(float(np.median(np.concatenate(red))), 1e-4)
    magnitude = float(-2.5 * np.log10(level / flux_of_magnitude(0.0)))
    return Source(shape.kind, shape.redshift, magnitude, shape.dispersion, bright, lines)


def _variance(camera: Instrument, night: Night, flux: tuple[Floats, ...]) -> list[Floats]:
    return [
        np.asarray(variance + np.maximum(values, 0.0) / (electrons * night.depth))
        for variance, values, electrons in zip(night.variance, flux, camera.electrons, strict=True)
    ]


def _expose(
    random: np.random.Generator,
    camera: Instrument,
    night: Night,
    flaws: Flaws,
    light: tuple[Floats, ...],
    plain: tuple[Floats, ...],
    masks: tuple[NDArray[np.bool_], ...],
) -> Exposure:
    """``light`` through ``night`` and ``flaws``: all as for ``plain`` where it has no anomaly."""
    flux, truth, ivar = [], [], []
    changed = _variance(camera, night, light)
    for i, usual in enumerate(_variance(camera, night, plain)):
        variance = np.where(light[i] == plain[i], usual, changed[i])
        dark = night.variance[i]
        # What the sky left over does not grow with the source's own noise.
        sigma = np.sqrt(night.fresh[i] ** 2 * dark + variance - dark)
        noise = sigma * flaws.noise(random.standard_normal(len(dark) + 2)) + night.residual[i] * np.sqrt(dark)
        truth.append(light[i] * flaws.calibration[i])
        flux.append(truth[i] + flaws.scatter[i] * noise)
        ivar.append(np.where(masks[i], 0.0, 1.0 / variance))
    return Exposure(camera.arms, tuple(flux), tuple(truth), tuple(ivar))
