"""Import of spender's weights: files in, a model's directory out, calibrated on spectra if there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.scorer import Scorer
from engine.spectra.source_file import ReleaseListing
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from flows.training.model_directory import check_model_directory
from models.errors import ConfigurationError, ErrorKind, QuarantineError
from models.model_card import ModelCard
from models.model_files import CARD
from models.signal_to_noise import signal_to_noise
from models.spender.files import read_spender_file
from models.spender.importing import import_spender
from models.spender.model import SpenderModel
from models.training.calibrating import calibrate_on
from models.weights import save_model

LEAST_SPECTRA = 100
"""Fewest spectra to calibrate on: they fix a tail of one in a hundred."""

_AT_ONCE = 64


@dataclass(frozen=True)
class SpenderRequest:
    """What to import.

    Attributes
    ----------
    files : the autoencoder's and the flow's.
    directory : where the model goes; name : of the model.
    classes : spectral classes it was trained on; empty for all.
    instrument : see :func:`models.spender.weights.autoencoder_of`; empty where the files say it.
    calibrate, layout : release to calibrate on, none if empty, and its layout.
    limit : of that release's spectra, at most so many.
    threads : torch threads.
    """

    files: tuple[Path, ...]
    directory: Path
    name: str
    classes: tuple[str, ...]
    instrument: str
    calibrate: tuple[str, ...]
    limit: int
    layout: str
    threads: int


def import_from(request: SpenderRequest, progress: Callable[[str], None]) -> ModelCard:
    """Read, check, calibrate, save; returns the card of the saved model. ``progress`` takes a line of text.

    Raises
    ------
    InputError : a file is not spender's; the directory holds something else; there is no such release.
    ConfigurationError : the release's spectra are of another grid, or too few can be scored.
    """
    check_model_directory(request.directory, (CARD,))
    torch.set_num_threads(request.threads)
    files = [read_spender_file(path) for path in request.files]
    model = import_spender(files, request.name, request.classes, request.instrument)
    if request.calibrate:
        _calibrate(model, request, progress)
    return save_model(model, request.directory)


def _calibrate(model: SpenderModel, request: SpenderRequest, progress: Callable[[str], None]) -> None:
    progress("list the release")
    listing = list_release(request.calibrate, request.layout)
    scorer = Scorer(model)
    latents, score, snr, redshift = [], [], [], []
    for spectra in _spectra(listing, model.card, request):
        for start in range(0, len(spectra.rows), _AT_ONCE):
            part = np.arange(start, min(start + _AT_ONCE, len(spectra.rows)))
            chosen = part[spectra.scorable[part]]
            if not len(chosen):
                continue
            found = scorer.score(spectra, chosen)
            kept = chosen[found.finite]
            latents.append(found.latents[found.finite])
            score.append(found.score[found.finite])
            snr.append(_signal_to_noise(spectra, kept))
            redshift.append(spectra.rows["redshift"][kept])
        progress(f"score spectra: {sum(map(len, score)):,}")
    count = sum(map(len, score))
    if count < LEAST_SPECTRA:
        raise ConfigurationError(
            "Too few of the release's spectra can be scored to calibrate on them.",
            where=listing.root,
            got=f"{count} of {listing.spectra}",
            allowed=f"at least {LEAST_SPECTRA}, of class {', '.join(request.classes) or 'any'}, at redshifts "
            f"{model.card.redshift_min:.3f} to {model.card.redshift_max:.3f}",
            remedy="Name a larger release, other --classes, or leave --calibrate out.",
            kind=ErrorKind.CALIBRATION_SMALL,
        )
    calibrate_on(
        model,
        torch.from_numpy(np.concatenate(latents)),
        np.concatenate(score),
        np.concatenate(snr),
        np.concatenate(redshift),
    )
    what = f"{count:,} spectra of {listing.layout} files of {listing.root.rstrip('/').rpartition('/')[2]}"
    model.card = replace(model.card, training={**model.card.training, "calibration": what})


def _spectra(
    listing: ReleaseListing, card: ModelCard, request: SpenderRequest
) -> Iterator[NormalisedSpectra]:
    """An even share of every file, normalised; files that cannot be read are skipped."""
    share = min(1.0, request.limit / max(1, listing.spectra))
    for number, file in enumerate(listing.files):
        # Rounding by the golden ratio takes some files of one spectrum each and leaves others, evenly.
        count = min(int(share * file.spectra + (number * 0.618033988749895) % 1.0), file.spectra)
        if count == 0:
            continue
        try:
            spectra = read_spectra(file, 0, count)
        except QuarantineError:
            continue
        yield normalise(spectra, card, request.classes)


def _signal_to_noise(spectra: NormalisedSpectra, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    flux, ivar = (torch.from_numpy(part[chosen]) for part in (spectra.flux, spectra.ivar))
    return signal_to_noise(flux, ivar)
