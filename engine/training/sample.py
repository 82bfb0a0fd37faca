"""The sample of a release to train on, chosen before any pixel is read.

Files are searched in the order of a hash of their names, until they have enough spectra and are many enough
to stand for the release. Of their objects those with the smallest hashes are chosen. A larger release or
another order of files moves nothing: a spectrum stays in the sample until objects with smaller hashes replace
it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.spectra.rows import ROW_DTYPE, Rows
from engine.spectra.source_file import ReleaseListing, SourceFile
from engine.surveys.reading import open_spectra
from engine.surveys.survey import Survey
from engine.surveys.surveys import reader_of
from engine.training.events import FilesSearched, Note, TrainingObservers
from engine.training.populations import POPULATIONS, RedshiftRange, coverage, fitted_range, requested_range
from engine.training.request import TrainingRequest
from engine.training.splits import Split, objects
from models.errors import ConfigurationError, ErrorKind, QuarantineError
from models.observers import report
from models.row_status import RowStatus

ENOUGH_FILES = 256
"""So many files stand for a release, if they hold as many spectra as are asked for."""


@dataclass(frozen=True)
class ChosenFile:
    """A file of which spectra are taken: its ``rows`` (k,), ascending, and their ``places`` in the set."""

    file: SourceFile
    rows: NDArray[np.int64]
    places: NDArray[np.int64]


@dataclass(frozen=True)
class TrainingSample:
    """n spectra in the order of their objects' hashes, which is a random one.

    Attributes
    ----------
    files : where they are.
    number, split : (n,) of their objects, see :class:`engine.training.splits.Objects`.
    redshift : (n,).
    redshift_range : redshifts of the model and its normalisation window.
    """

    files: tuple[ChosenFile, ...]
    number: NDArray[np.uint64]
    split: NDArray[np.int8]
    redshift: NDArray[np.float64]
    redshift_range: RedshiftRange

    def __len__(self) -> int:
        return len(self.number)


_CANDIDATE = np.dtype(
    [
        ("file", "i8"), ("row", "i8"), ("redshift", "f8"), ("survey", ROW_DTYPE["survey"]),
        ("number", "u8"), ("split", "i1"), ("spectrum", "u8"),
    ]
)  # fmt: skip


def draw_sample(
    listing: ReleaseListing, request: TrainingRequest, limit: int, observers: TrainingObservers = ()
) -> TrainingSample:
    """At most ``limit`` spectra of the request's population.

    Raises
    ------
    ConfigurationError : there are none, or no normalisation window suits them.
    RetryError : the disk or network failed.
    """
    found = _candidates(listing, request, limit, observers)
    if not len(found):
        raise _nothing(listing, request)
    covered = coverage(listing.grid, set(found["survey"].tolist()))
    if request.redshift is not None and request.window is not None:
        chosen_range = RedshiftRange(request.redshift, request.window)
    elif request.redshift is None:
        chosen_range = fitted_range(request.population, found["redshift"], covered)
    else:
        chosen_range = requested_range(request.population, request.redshift, covered)
    low, high = chosen_range.redshifts
    inside = found[(found["redshift"] >= low) & (found["redshift"] <= high)]
    if not len(inside):
        raise _nothing(listing, request)
    if (share := 1.0 - len(inside) / len(found)) > 0.02:
        text = (
            f"{share:.0%} of the spectra are left out: a model for redshifts {low:.3f} to {high:.3f}, where "
            f"all are normalised at {chosen_range.window[0]:.0f} to {chosen_range.window[1]:.0f} Å at rest."
        )
        report(observers, Note(text))
    chosen = inside[np.lexsort((inside["spectrum"], inside["number"]))[:limit]]
    files = []
    for number in np.unique(chosen["file"]).tolist():
        places = np.flatnonzero(chosen["file"] == number)
        places = places[np.argsort(chosen["row"][places], kind="stable")]
        files.append(ChosenFile(listing.files[number], chosen["row"][places], places))
    return TrainingSample(tuple(files), chosen["number"], chosen["split"], chosen["redshift"], chosen_range)


def _candidates(
    listing: ReleaseListing, request: TrainingRequest, limit: int, observers: TrainingObservers
) -> NDArray[np.void]:
    """Spectra of the population that could be scored, of as many files as are needed."""
    parts, found, unreadable = [np.empty(0, dtype=_CANDIDATE)], 0, 0
    low, high = request.redshift or POPULATIONS[request.population].redshifts
    order = sorted(range(len(listing.files)), key=lambda number: _draw(_name(listing.files[number])))
    for done, number in enumerate(order):
        report(observers, FilesSearched(done, len(order)))
        if done >= ENOUGH_FILES and found >= limit:
            break
        file = listing.files[number]
        try:
            with open_spectra(file, 0, 0) as spectra:
                rows = spectra.rows(0, file.spectra)
        except QuarantineError:
            unreadable += 1
            continue
        survey, _ = reader_of(file.reader)
        part = _of_file(number, rows, survey, request)
        found += int(np.count_nonzero((part["redshift"] >= low) & (part["redshift"] <= high)))
        parts.append(part)
    report(observers, FilesSearched(len(order), len(order)))
    if unreadable:
        report(observers, Note(f"{unreadable} of {len(order)} files could not be read and are left out."))
    return np.concatenate(parts)


def _of_file(number: int, rows: Rows, survey: Survey, request: TrainingRequest) -> NDArray[np.void]:
    wanted = (rows["status"] == RowStatus.SCORED) & np.isfinite(rows["redshift"])
    if classes := survey.classes_of(request.population):
        wanted &= np.isin(rows["spectype"], classes)
    rows = rows.take(np.flatnonzero(wanted))
    found = np.empty(len(rows), dtype=_CANDIDATE)
    of = objects(rows, survey, request.validation, request.calibration)
    found["file"], found["row"] = number, rows["source_row"]
    found["redshift"], found["survey"] = rows["redshift"], rows["survey"]
    found["number"], found["split"] = of.number, of.split
    found["spectrum"] = [_draw(key) for key in rows.keys()]  # noqa: SIM118 - not a mapping
    known: NDArray[np.void] = found[found["split"] != Split.NONE]
    return known


def _name(file: SourceFile) -> str:
    """The file's name without its directory."""
    return file.url.rpartition("/")[2]


def _draw(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _nothing(listing: ReleaseListing, request: TrainingRequest) -> ConfigurationError:
    asked = f"population {request.population}"
    if request.redshift is not None:
        asked += f", redshifts {request.redshift[0]} to {request.redshift[1]}"
    return ConfigurationError(
        "The release holds no spectra of this kind that could be trained on.",
        where=listing.root,
        got=asked,
        remedy="Name another --population or --redshift.",
        kind=ErrorKind.NOTHING_TO_TRAIN_ON,
    )
