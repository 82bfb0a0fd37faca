"""The training set: a release's spectra, taken evenly over its files, normalised for one model."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.normalisation import normalise
from engine.readers.registry import read_spectra
from engine.source_file import ReleaseListing, SourceFile
from engine.spectra import Spectra
from flows.training_request import TrainingRequest
from models.errors import ConfigurationError, QuarantineError
from models.grid import WavelengthGrid
from models.model_card import ModelCard
from models.row_status import RowStatus
from models.training import TrainingPopulation, TrainingSpectra, TrainingSplit
from tasks.run_listener import current_listener

REDSHIFT_TAILS = (0.002, 0.998)
"""Quantiles of the spectra's redshifts that become the model's range."""

WINDOWS = ((5300.0, 5850.0), (4050.0, 4300.0), (3100.0, 3300.0), (2000.0, 2300.0), (1320.0, 1450.0))
"""Rest-frame windows free of strong lines, Angstrom, in order of preference for normalising."""

MIN_GOOD_FRACTION = 0.4
_READ_AT_ONCE = 256


def read_training_set(
    listing: ReleaseListing, request: TrainingRequest
) -> tuple[TrainingSplit, TrainingPopulation]:
    """Normalised spectra and what they are; files that cannot be read are passed over.

    Raises
    ------
    ConfigurationError : no spectra of the classes, or none of the normalisation windows is covered
        at all their redshifts.
    """
    parts = [part for part in _readable(listing, request) if len(part)]
    if not parts:
        raise ConfigurationError(
            "The release holds no spectra of these classes that could be trained on.",
            where=listing.root,
            got=", ".join(request.classes) or "all classes",
            remedy="Name other --classes.",
            kind="nothing-to-train-on",
        )
    redshifts = np.concatenate([part.rows["redshift"] for part in parts])
    population = _population(listing, request, redshifts)
    count, pixels = len(redshifts), listing.grid.size
    flux = np.empty((count, pixels), dtype=np.float32)
    ivar = np.empty_like(flux)
    redshift = np.empty(count, dtype=np.float64)
    filled = 0
    card = _card(population)
    while parts:  # each part is let go once it is normalised: two copies of all would not fit
        normalised = normalise(parts.pop(0), card, request.classes)
        chosen = np.flatnonzero(normalised.scorable)
        place = slice(filled, filled + len(chosen))
        flux[place], ivar[place] = normalised.flux[chosen], normalised.ivar[chosen]
        redshift[place] = normalised.rows["redshift"][chosen]
        filled = place.stop
    whole = TrainingSpectra(flux[:filled], ivar[:filled], redshift[:filled])
    return _split(whole, request), population


def _split(spectra: TrainingSpectra, request: TrainingRequest) -> TrainingSplit:
    order = np.random.default_rng(request.seed).permutation(len(spectra))
    ends = np.cumsum([int(len(spectra) * share) for share in (request.validation, request.calibration)])
    validation, calibration, training = np.split(order, ends)
    return TrainingSplit(*(spectra.take(np.sort(part)) for part in (training, validation, calibration)))


def normalisation_window(grid: WavelengthGrid, low: float, high: float) -> tuple[float, float]:
    """The first of :data:`WINDOWS` that the grid covers from redshift ``low`` to ``high``.

    Raises
    ------
    ConfigurationError : none is.
    """
    wavelength = grid.wavelength()
    for window in WINDOWS:
        if window[0] * (1 + low) >= wavelength[0] and window[1] * (1 + high) <= wavelength[-1]:
            return window
    raise ConfigurationError(
        "No normalisation window is covered at all redshifts of the spectra.",
        got=f"redshifts {low:.3f} to {high:.3f}, {wavelength[0]:.0f} to {wavelength[-1]:.0f} Angstrom",
        allowed="; ".join(f"{first:.0f} to {last:.0f} Angstrom at rest" for first, last in WINDOWS),
        remedy="Train on one class, or on files whose redshifts span less.",
        kind="normalisation-window",
    )


def _readable(listing: ReleaseListing, request: TrainingRequest) -> Iterator[Spectra]:
    """Spectra that may be scored, of the classes, from an even share of every file."""
    share = min(1.0, request.limit / max(1, listing.spectra))
    for number, file in enumerate(listing.files):
        current_listener().listing(number + 1, len(listing.files))
        for start, stop in _stretches(file, share, number):
            try:
                spectra = read_spectra(file, start, stop)
            except QuarantineError:
                break
            wanted = spectra.rows["status"] == RowStatus.SCORED
            if request.classes:
                wanted &= np.isin(spectra.rows["spectype"], request.classes)
            yield spectra.take(np.flatnonzero(wanted))


def _stretches(file: SourceFile, share: float, number: int) -> Iterator[tuple[int, int]]:
    # Rounding by the golden ratio takes some files of one spectrum each and leaves others, evenly.
    count = int(share * file.spectra + (number * 0.618033988749895) % 1.0)
    for start in range(0, min(count, file.spectra), _READ_AT_ONCE):
        yield start, min(start + _READ_AT_ONCE, count, file.spectra)


def _population(
    listing: ReleaseListing, request: TrainingRequest, redshifts: NDArray[np.float64]
) -> TrainingPopulation:
    low, high = (float(value) for value in np.quantile(redshifts, REDSHIFT_TAILS))
    window = normalisation_window(listing.grid, low, high)
    return TrainingPopulation(
        name=request.name,
        description=f"trained on {listing.layout} files of {listing.root.rstrip('/').rpartition('/')[2]}",
        grid=listing.grid,
        classes=request.classes,
        redshift_min=low,
        redshift_max=high,
        normalisation_min=window[0],
        normalisation_max=window[1],
        min_good_fraction=MIN_GOOD_FRACTION,
    )


def _card(population: TrainingPopulation) -> ModelCard:
    """What normalisation asks of a card; the model's own comes from training."""
    return ModelCard(
        name=population.name,
        description=population.description,
        kind="",
        grid=population.grid,
        classes=population.classes,
        redshift_min=population.redshift_min,
        redshift_max=population.redshift_max,
        snr_min=0.0,
        snr_max=math.inf,
        normalisation_min=population.normalisation_min,
        normalisation_max=population.normalisation_max,
        min_good_fraction=population.min_good_fraction,
        rest_start=0.0,
        rest_step=0.0,
        rest_size=0,
        architecture={},
        training={},
        metrics={},
        calibration_quantiles=(),
    )
