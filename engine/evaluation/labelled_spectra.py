"""Labelled spectra: real ones whose kind is known, in files with a manifest of their labels."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.scorer import Scorer
from engine.spectra.spectra import Spectra
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from models.errors import ErrorKind, InputError, QuarantineError
from models.grid import WavelengthGrid
from models.row_status import RowStatus
from models.spectrum_model import SpectrumModel

MANIFEST = "manifest.csv"
UNLABELLED = "no label"
_AT_ONCE = 64


@dataclass(frozen=True)
class LabelledSpectra:
    """n spectra with labels.

    Attributes
    ----------
    spectra : as read.
    label, file : (n,) what the manifest says, and the file's name.
    quarantined : files of the release that could not be read.
    """

    spectra: Spectra
    label: NDArray[np.str_]
    file: NDArray[np.str_]
    quarantined: int


@dataclass(frozen=True)
class ScoredSpectra:
    """n spectra under a model, whatever their class.

    Attributes
    ----------
    flux, ivar : (n, N) float32, normalised; 0 where not good.
    residual : (n, N) float32, flux minus reconstruction in sigma; 0 where not good.
    redshift, snr, score, tail : (n,); NaN score and tail where one could not be scored.
    status : (n,) RowStatus.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    residual: NDArray[np.float32]
    redshift: NDArray[np.float64]
    snr: NDArray[np.float64]
    score: NDArray[np.float64]
    tail: NDArray[np.float64]
    status: NDArray[np.int64]

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(n,) which have a score."""
        return np.asarray(self.status == RowStatus.SCORED)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> ScoredSpectra:
        """Those at ``index``."""
        return ScoredSpectra(
            self.flux[index],
            self.ivar[index],
            self.residual[index],
            self.redshift[index],
            self.snr[index],
            self.score[index],
            self.tail[index],
            self.status[index],
        )


def read_labelled(directory: Path, grid: WavelengthGrid) -> LabelledSpectra:
    """The spectra on ``grid`` below ``directory``, with the labels of its ``manifest.csv``.

    Raises
    ------
    InputError : no manifest with columns ``file`` and ``label``, or none of its files is on the grid.
    """
    labels = _labels(directory / MANIFEST)
    parts: list[Spectra] = []
    names: list[str] = []
    quarantined = 0
    present = sorted({str((directory / name).parent) for name in labels if (directory / name).is_file()})
    for folder in present:
        try:
            listing = list_release([folder])
        except InputError:
            continue
        if listing.grid != grid:
            continue
        for file in listing.files:
            try:
                read = read_spectra(file, 0, file.spectra)
            except QuarantineError:
                quarantined += 1
                continue
            parts.append(read)
            names += [Path(file.url).name] * len(read)
    if not parts:
        raise InputError(
            "None of the labelled files is on the model's grid.",
            where=str(directory),
            got=f"{len(labels)} labels",
            allowed=f"files on grid {grid.name}",
            remedy="Name another directory or a model of its instrument.",
            kind=ErrorKind.NO_LABELLED_SPECTRA,
        )
    by_name = {Path(name).name: label for name, label in labels.items()}
    label = np.array([by_name.get(name) or UNLABELLED for name in names])
    return LabelledSpectra(Spectra.concatenate(grid, parts), label, np.array(names), quarantined)


def score_all(model: SpectrumModel, spectra: Spectra) -> ScoredSpectra:
    """``spectra`` of every class under ``model``."""
    normalised = normalise(spectra, model.card, ())
    status = np.asarray(normalised.rows["status"], dtype=np.int64).copy()
    count = len(status)
    score, tail = np.full(count, np.nan), np.full(count, np.nan)
    residual = np.zeros_like(normalised.flux)
    scorer = Scorer(model)
    chosen = np.flatnonzero(normalised.scorable)
    for first in range(0, len(chosen), _AT_ONCE):
        rows = chosen[first : first + _AT_ONCE]
        found = scorer.score(normalised, rows)
        score[rows], tail[rows] = found.score, found.tail_probability
        residual[rows] = _residual(model, normalised, rows)
    status[(status == RowStatus.SCORED) & ~np.isfinite(score)] = RowStatus.NON_FINITE_SCORE
    return ScoredSpectra(
        normalised.flux,
        normalised.ivar,
        residual,
        np.asarray(normalised.rows["redshift"], dtype=np.float64),
        np.asarray(normalised.rows["snr"], dtype=np.float64),
        score,
        tail,
        status,
    )


def _residual(
    model: SpectrumModel, spectra: NormalisedSpectra, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    flux, ivar = torch.tensor(spectra.flux[rows]), torch.tensor(spectra.ivar[rows])
    redshift = torch.tensor(spectra.rows["redshift"][rows])
    with torch.inference_mode():
        drawn = model.reconstructed(flux, ivar, redshift)
        return np.asarray(((flux - drawn) * torch.sqrt(ivar)).numpy(), dtype=np.float32)


def _labels(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8", newline="") as text:
            return {row["file"]: row["label"] for row in csv.DictReader(text)}
    except (OSError, KeyError) as error:
        raise InputError(
            "There is no manifest of labels.",
            where=str(path),
            got=error,
            allowed="a CSV file with columns file and label",
            remedy="Name a directory of labelled spectra.",
            kind=ErrorKind.NO_MANIFEST,
        ) from error
