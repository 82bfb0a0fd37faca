"""The training set: the chosen spectra of a release, read in pieces and normalised for one model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.spectra.normalisation import normalise
from engine.spectra.source_file import ReleaseListing
from engine.surveys.reading import open_spectra
from engine.surveys.surveys import reader_of
from engine.training.events import Note, SpectraRead, TrainingObservers
from engine.training.populations import RedshiftRange
from engine.training.request import TrainingRequest
from engine.training.sample import ChosenFile, TrainingSample, draw_sample
from engine.training.splits import Split
from models.errors import QuarantineError
from models.observers import report
from models.training.fit import TrainingPopulation
from models.training.spectra import TrainingSpectra, TrainingSplit

MIN_GOOD_FRACTION = 0.4

_READ_AT_ONCE = 256
_GAP = 4
"""Rows that are not wanted and lie between wanted ones are read too, up to so many."""


class SpectraSink(Protocol):
    """Where normalised spectra go."""

    def put(self, places: NDArray[np.int64], flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> None:
        """Keep k spectra, flux and ivar (k, N), at ``places`` (k,)."""
        ...


def training_population(
    listing: ReleaseListing, request: TrainingRequest, chosen: RedshiftRange
) -> TrainingPopulation:
    """The entries of the model's card on its spectra."""
    survey, _ = reader_of(listing.files[0].reader)
    return TrainingPopulation(
        name=request.name,
        description=f"trained on {listing.layout} files of {listing.root.rstrip('/').rpartition('/')[2]}",
        grid=listing.grid,
        classes=survey.classes_of(request.population),
        redshift_min=chosen.redshifts[0],
        redshift_max=chosen.redshifts[1],
        normalisation_min=chosen.window[0],
        normalisation_max=chosen.window[1],
        min_good_fraction=MIN_GOOD_FRACTION,
        arm_edges=survey.arm_edges,
    )


def read_sample(
    sample: TrainingSample,
    population: TrainingPopulation,
    sink: SpectraSink,
    observers: TrainingObservers = (),
) -> NDArray[np.bool_]:
    """Put the spectra of a sample into ``sink``; returns which of the n can be trained on.

    Files that have become unreadable are skipped.

    Raises
    ------
    RetryError : the disk or network failed.
    """
    usable = np.zeros(len(sample), dtype=bool)
    card, read = population.card(), 0
    for chosen in sample.files:
        try:
            with open_spectra(chosen.file, int(chosen.rows[0]), int(chosen.rows[-1]) + 1) as spectra:
                for start, stop, which in _intervals(chosen):
                    part = spectra.read(start, stop).take(chosen.rows[which] - start)
                    normalised = normalise(part, card, population.classes)
                    good, places = normalised.scorable, chosen.places[which]
                    sink.put(places[good], normalised.flux[good], normalised.ivar[good])
                    usable[places[good]] = True
        except QuarantineError:
            text = f"{chosen.file.url} could not be read to its end: what follows is left out."
            report(observers, Note(text))
        read += len(chosen.rows)
        report(observers, SpectraRead(read, len(sample)))
    return usable


def read_training_set(
    listing: ReleaseListing, request: TrainingRequest
) -> tuple[TrainingSplit, TrainingPopulation]:
    """The training set in memory, and what its spectra are.

    Raises
    ------
    ConfigurationError : no spectra of the population, or no normalisation window suits them.
    RetryError : the disk or network failed.
    """
    sample = draw_sample(listing, request, request.limit)
    population = training_population(listing, request, sample.redshift_range)
    memory = _Memory(len(sample), listing.grid.size)
    usable = read_sample(sample, population, memory)
    whole = TrainingSpectra(memory.flux, memory.ivar, sample.redshift)
    splits = (Split.TRAINING, Split.VALIDATION, Split.CALIBRATION)
    return (
        TrainingSplit(*(whole.take(np.flatnonzero(usable & (sample.split == split))) for split in splits)),
        population,
    )


class _Memory:
    """A sink in memory."""

    def __init__(self, count: int, pixels: int) -> None:
        self.flux = np.zeros((count, pixels), dtype=np.float32)
        self.ivar = np.zeros((count, pixels), dtype=np.float32)

    def put(self, places: NDArray[np.int64], flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> None:
        """See :class:`SpectraSink`."""
        self.flux[places], self.ivar[places] = flux, ivar


def _intervals(chosen: ChosenFile) -> Iterator[tuple[int, int, slice]]:
    """Rows of a file to read together: first, behind the last, and which of the chosen are among them."""
    rows = chosen.rows
    first = 0
    for number in range(1, len(rows) + 1):
        if (
            number == len(rows)
            or rows[number] - rows[number - 1] > _GAP
            or rows[number] - rows[first] >= _READ_AT_ONCE
        ):
            yield int(rows[first]), int(rows[number - 1]) + 1, slice(first, number)
            first = number
