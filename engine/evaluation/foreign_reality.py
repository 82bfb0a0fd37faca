"""A foreign reality: galaxies, dust, lines, noise and calibration that no shipped model was trained on.

It stands for a real release where none is at hand. The stars of its galaxies have features of a library of
their own, their dust follows another law, their gas has other ratios of lines. Its instrument misjudges its
noise by wavelength, correlates neighbouring pixels, and is calibrated with flaws of its own, the same in all
spectra and others in each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.anomaly_shapes import anomaly_shape
from engine.evaluation.held_out_spectra import HeldOutSettings, HeldOutSpectrum, held_out_spectra
from engine.simulation.anomalies import AnomalyKind
from engine.simulation.extinction import quasar_transmission
from engine.spectra.normalisation import normalise
from engine.spectra.spectra import Spectra
from models.model_card import ModelCard

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

_REALITY = 0x7265616C
"""Of the one seed from which everything is drawn that all its spectra share."""
_FIRST, _LAST = 1800.0, 11_000.0
_LIBRARY = ((12.0, 0.03), (60.0, 0.04))
"""Spacing of knots, Angstrom, and size of the features of its stars: share of the light."""
_RIPPLES = ((45.0, 0.012), (300.0, 0.02))
"""The same of the flaws that all spectra share, in observed wavelengths."""
_OWN_RIPPLE = (90.0, 0.01)
_NOISE = ((3600.0, 1.35), (4600.0, 1.15), (7400.0, 1.05), (9824.0, 1.2))
"""True noise over the stated one at observed wavelengths, Angstrom."""
_NEIGHBOUR = 0.15
"""Weight of either neighbouring pixel in the noise that comes on top."""
_LINES = (3869.86, 4364.44, 4687.02, 4960.30, 5008.24, 5877.25, 6302.05, 6585.27, 6718.29, 7137.77, 9071.1)
"""Rest vacuum wavelengths, Angstrom, of lines that come on top, each with a strength of its own."""
_LEAST_STRENGTH, _MOST_STRENGTH = 10.0, 40.0


@dataclass(frozen=True)
class RealitySettings:
    """Which spectra.

    Attributes
    ----------
    spectra : number.
    seed : the same seed gives the same spectra; all seeds share stars, instrument and calibration.
    odd : share that carry an anomaly of 10 to 40 sigma, 0 to 1.
    templates, sky : as of :class:`engine.evaluation.held_out_spectra.HeldOutSettings`.
    """

    spectra: int
    seed: int
    odd: float
    templates: Path | None = None
    sky: Path | None = None


@dataclass(frozen=True)
class ForeignSpectra:
    """n normalised spectra: flux and ivar (n, N) float32, redshift (n,) float64, ``odd`` (n,) bool.

    ``kind`` (n,) names what an odd one carries, ``strength`` (n,) is its size in sigma of the stated noise.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    redshift: NDArray[np.float64]
    odd: NDArray[np.bool_]
    kind: NDArray[np.str_]
    strength: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.redshift)


@dataclass(frozen=True)
class _Shared:
    """What all spectra share: features of stars at ``rest``, flaws and noise on observed pixels (N,)."""

    rest: Floats
    library: Floats
    ripple: Floats
    noise: Floats


def foreign_spectra(
    card: ModelCard, settings: RealitySettings, progress: Progress = lambda *_: None
) -> ForeignSpectra:
    """Spectra of the foreign reality, normalised as the model of ``card`` sees them.

    Raises
    ------
    ConfigurationError, InputError : see :func:`engine.evaluation.held_out_spectra.held_out_spectra`.
    """
    wavelength = card.grid.wavelength()
    shared = _shared(wavelength)
    wanted = HeldOutSettings(settings.spectra, settings.seed, settings.templates, settings.sky)
    flux = np.zeros((settings.spectra, len(wavelength)), dtype=np.float32)
    ivar = np.zeros_like(flux)
    usable = np.zeros(settings.spectra, dtype=bool)
    redshift, strength = np.zeros(settings.spectra), np.zeros(settings.spectra)
    kinds = np.full(settings.spectra, "", dtype="<U32")
    for row, held_out in enumerate(held_out_spectra(card, wanted, progress)):
        random = np.random.default_rng((settings.seed, _REALITY, held_out.index))
        changed, factor = _changed(held_out, wavelength, shared, random)
        if random.random() < settings.odd:
            kinds[row], strength[row] = _injected(changed, factor, held_out, card, settings.seed, random)
        normalised = normalise(changed, card, ())
        usable[row] = normalised.scorable[0]
        flux[row], ivar[row] = normalised.flux[0], normalised.ivar[0]
        redshift[row] = normalised.rows["redshift"][0]
    return ForeignSpectra(
        flux[usable], ivar[usable], redshift[usable], strength[usable] > 0, kinds[usable], strength[usable]
    )


def _shared(wavelength: Floats) -> _Shared:
    random = np.random.default_rng(_REALITY)
    rest = np.arange(_FIRST, _LAST, 1.0)
    library = sum((size * _curve(random, rest, spacing) for spacing, size in _LIBRARY), np.zeros(len(rest)))
    ripple = sum(
        (size * _curve(random, wavelength, spacing) for spacing, size in _RIPPLES), np.zeros(len(wavelength))
    )
    at, scale = zip(*_NOISE, strict=True)
    return _Shared(rest, library, ripple, np.interp(wavelength, at, scale))


def _curve(random: np.random.Generator, wavelength: Floats, spacing: float) -> Floats:
    """Of about unit variance, through knots so many Angstrom apart."""
    knots = np.arange(_FIRST, _LAST + spacing, spacing)
    return np.interp(wavelength, knots, 1.25 * random.standard_normal(len(knots)))


def _changed(
    held_out: HeldOutSpectrum, wavelength: Floats, shared: _Shared, random: np.random.Generator
) -> tuple[Spectra, Floats]:
    """The spectrum as this reality has it, and the factor (N,) of its light."""
    spectrum = held_out.spectrum
    redshift = float(spectrum.rows["redshift"][0])
    rest = wavelength / (1.0 + redshift)
    stars = 1.0 + random.uniform(0.6, 1.4) * np.interp(rest, shared.rest, shared.library)
    dust = quasar_transmission(rest, min(float(random.exponential(0.12)), 0.6))
    flaws = 1.0 + shared.ripple + _OWN_RIPPLE[1] * _curve(random, wavelength, _OWN_RIPPLE[0])
    factor = np.maximum(stars * dust * flaws, 0.05)
    good = spectrum.ivar[0] > 0
    light = spectrum.flux[0] * factor
    ivar = np.where(good, spectrum.ivar[0] / factor**2, 0.0)
    light = light + factor * _gas(wavelength, redshift, spectrum.flux[0], good, random)
    extra = np.sqrt(np.maximum(shared.noise**2 - 1.0, 0.0))
    white = random.standard_normal(len(wavelength) + 2)
    noise = (white[1:-1] + _NEIGHBOUR * (white[:-2] + white[2:])) / np.sqrt(1.0 + 2.0 * _NEIGHBOUR**2)
    light = light + extra * noise * np.divide(1.0, np.sqrt(ivar), out=np.zeros_like(ivar), where=good)
    flux = np.where(good, light, 0.0).astype(np.float32)[None]
    return Spectra(spectrum.grid, flux, ivar.astype(np.float32)[None], spectrum.rows), factor


def _gas(
    wavelength: Floats,
    redshift: float,
    flux: NDArray[np.floating],
    good: NDArray[np.bool_],
    random: np.random.Generator,
) -> Floats:
    """Lines on top in six of ten galaxies, with ratios that know no sequence, (N,)."""
    if random.random() > 0.6 or not good.any():
        return np.zeros(len(wavelength))
    level = max(float(np.median(flux[good])), 0.0)
    equivalent_width = 10 ** random.normal(0.4, 0.4)
    dispersion = random.uniform(60.0, 220.0) / 299_792.458
    lines = np.zeros(len(wavelength))
    for line in _LINES:
        centre = line * (1.0 + redshift)
        sigma = float(np.hypot(dispersion * centre, 0.8))
        area = level * equivalent_width * 10 ** random.normal(-0.3, 0.35) * (1.0 + redshift)
        near = slice(*np.searchsorted(wavelength, (centre - 6 * sigma, centre + 6 * sigma)))
        lines[near] += (
            area / (sigma * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((wavelength[near] - centre) / sigma) ** 2)
        )
    return lines


def _injected(
    spectrum: Spectra,
    factor: Floats,
    held_out: HeldOutSpectrum,
    card: ModelCard,
    seed: int,
    random: np.random.Generator,
) -> tuple[str, float]:
    """Inject an anomaly in place; its kind and its strength, 0 where the spectrum cannot carry it."""
    kinds = list(AnomalyKind)
    kind = kinds[int(random.integers(len(kinds)))]
    strength = float(np.exp(random.uniform(*np.log((_LEAST_STRENGTH, _MOST_STRENGTH)))))
    shape = anomaly_shape(kind, held_out, card.grid, seed)
    if shape is None or shape.largest < strength:
        return "", 0.0
    # The light's factor is that of its errors, too, so that the strength stays what it is.
    spectrum.flux[0] += (strength * shape.change * factor).astype(np.float32)
    return kind.value, strength
