"""One spectrum straight from its file: scored and explained here, without store, Ray or Prefect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.attribution.explainer import Explainer
from engine.attribution.explanation import Explanation
from engine.attribution.method import MethodSettings
from engine.figures.explanation import SpectrumScore
from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.scorer import Scorer
from engine.spectra.source_file import SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from engine.surveys.surveys import files_of_surveys
from models.credentials import refuse_credentials
from models.errors import ErrorKind, InputError, QuarantineError
from models.model_files import pretrained_for
from models.row_status import RowStatus
from models.spectrum_model import SpectrumModel
from models.weights import load_model

_LISTED = 8


@dataclass(frozen=True)
class SpectrumRequest:
    """Which spectrum of which file, and how to explain it.

    Attributes
    ----------
    file : path or URL; a file of redshifts is looked for beside it.
    target_id, row : one of them; neither for a file with one spectrum.
    model : name or directory; None for the one that ships for the file's grid and the spectrum's class,
        or where there is none for the class, the first for the grid.
    attribution : settings of the method; memory_bytes : what it may take, 0 for what suits the device.
    """

    file: str
    target_id: int | None
    row: int | None
    model: str | None
    attribution: MethodSettings
    memory_bytes: int = 0

    def __post_init__(self) -> None:
        refuse_credentials(self.file, self.model or "")


def explain_spectrum(request: SpectrumRequest, threads: int) -> tuple[SpectrumScore, Explanation]:
    """Score and explain one spectrum, whether it is an outlier or not.

    Raises
    ------
    InputError : no such file or spectrum, or the spectrum cannot be scored; the text says why.
    ConfigurationError : model and spectrum do not fit together.
    """
    torch.set_num_threads(threads)
    file = _only_file(request.file)
    spectra = _chosen(file, request)
    model = _model(request, spectra)
    # Whatever its class: the user asked for this very spectrum.
    normalised = normalise(spectra, model.card, ())
    status = RowStatus(int(normalised.rows["status"][0]))
    if status is not RowStatus.SCORED:
        raise _unscorable(file, normalised, status)
    scores = Scorer(model).score(normalised, np.array([0]))
    if not scores.finite[0]:
        raise _unscorable(file, normalised, RowStatus.NON_FINITE_SCORE)
    rows = normalised.rows
    selected = SelectedSpectra(
        np.array([0]), rows["redshift"], normalised.flux, normalised.ivar, np.zeros(1, dtype=np.int8)
    )
    explainer = Explainer(model, request.attribution, memory_bytes=request.memory_bytes)
    explanations = explainer.explain(
        selected, key=np.array(rows.keys(), dtype=object), target_id=rows["target_id"]
    )
    score = SpectrumScore(str(rows["spectype"][0]), float(scores.score[0]), float(scores.tail_probability[0]))
    return score, explanations.one(0)


def _model(request: SpectrumRequest, spectra: Spectra) -> SpectrumModel:
    if request.model is not None:
        return load_model(request.model)
    shipped = [load_model(name) for name in pretrained_for(spectra.grid.name)]
    spectype = str(spectra.rows["spectype"][0])
    return next((model for model in shipped if spectype in model.card.classes), shipped[0])


def _only_file(url: str) -> SourceFile:
    listing = list_release([url])
    if len(listing.files) == 1:
        return listing.files[0]
    raise InputError(
        "One file of spectra is wanted.",
        where=url,
        got=f"{len(listing.files)} files",
        allowed=f"a file of spectra: {files_of_surveys()}",
        remedy="Name the file itself; for a whole release use `whyspec run`.",
        kind=ErrorKind.ONE_FILE,
    )


def _chosen(file: SourceFile, request: SpectrumRequest) -> Spectra:
    """The one spectrum that was asked for."""
    if request.row is not None and request.target_id is None:
        if not 0 <= request.row < file.spectra:
            raise _no_such(file, f"row {request.row}", f"rows 0 to {file.spectra - 1}")
        return _read(file, request.row, request.row + 1)
    if request.target_id is None:
        if file.spectra == 1:
            return _read(file, 0, 1)
        raise _no_such(
            file, "neither --target-id nor --row", f"one of them: the file has {file.spectra} spectra"
        )
    spectra = _read(file, 0, file.spectra)
    found = np.flatnonzero(spectra.rows["target_id"] == request.target_id)
    if request.row is not None:
        found = found[found == request.row]
    if not len(found):
        some = ", ".join(str(value) for value in spectra.rows["target_id"][:_LISTED])
        raise _no_such(file, f"TARGETID {request.target_id}", f"{some}, ... ({file.spectra} in all)")
    return spectra.take(found[:1])


def _read(file: SourceFile, start: int, stop: int) -> Spectra:
    try:
        return read_spectra(file, start, stop)
    except QuarantineError as error:
        raise InputError(
            error.what,
            where=error.where,
            got=f"{error.kind}: {error.got}" if error.got else error.kind,
            allowed=error.allowed,
            remedy=error.remedy or "Fetch the file anew.",
            kind=ErrorKind.UNREADABLE_SPECTRUM,
        ) from error


def _no_such(file: SourceFile, got: str, allowed: str) -> InputError:
    return InputError(
        "The file has no such spectrum.",
        where=file.url,
        got=got,
        allowed=allowed,
        remedy="Give --target-id or --row of a spectrum in this file.",
        kind=ErrorKind.NO_SUCH_SPECTRUM,
    )


def _unscorable(file: SourceFile, normalised: NormalisedSpectra, status: RowStatus) -> InputError:
    row = normalised.rows.data[0]
    return InputError(
        f"The spectrum cannot be scored: {status.meaning}.",
        where=f"{file.url}, row {int(row['source_row'])} ({row['key']})",
        got=f"{status.label}; redshift {float(row['redshift']):.5f}, class {row['spectype'] or 'unknown'}, "
        f"{float(row['good_fraction']):.0%} of the pixels good",
        allowed="a spectrum that the model can score",
        remedy="Choose another spectrum, or with --model a model that covers it.",
        kind=ErrorKind.NOT_SCORABLE,
    )
