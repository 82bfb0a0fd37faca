"""Parts of a run, measured without the run: decoding, scoring, explaining.

As many processes as the run has workers measure at the same time, since cores that work share caches,
memory and clock. No Prefect, no Ray, no store.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch

from engine.attribution.explainer import Explainer
from engine.run.block_reading import BATCH_SPECTRA
from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.scorer import Scorer
from engine.spectra.source_file import SourceFile
from engine.store.configuration import RunConfiguration
from engine.surveys.reading import open_spectra
from flows.bench.worker_processes import in_processes
from models.weights import load_model


@dataclass(frozen=True)
class PartsRequest:
    """The work of one measuring process.

    Attributes
    ----------
    model : name or directory of the run's first model: the benchmark's spectra are of one class.
    configuration : of the run.
    files : of which the spectra are taken.
    explained : spectra that are explained.
    """

    model: str
    configuration: RunConfiguration
    files: tuple[SourceFile, ...]
    explained: int


@dataclass(frozen=True)
class PartSeconds:
    """Seconds of one core, per spectrum of the release (rows that are not scored included).

    Attributes
    ----------
    spectra : number of spectra that were measured, by all processes together.
    decode : open files, read rows, join arms.
    normalise : divide by the median flux, mask.
    score : encoder, density, decoder, reconstruction scores.
    explain : seconds per explained spectrum.
    """

    spectra: int
    decode: float
    normalise: float
    score: float
    explain: float

    @property
    def per_spectrum(self) -> float:
        """Seconds of one core for one spectrum, without explaining."""
        return self.decode + self.normalise + self.score

    def core_seconds(self, spectra: int, explained: int) -> float:
        """Seconds of one core for a run of that size."""
        return spectra * self.per_spectrum + explained * self.explain


def measure_parts(requests: tuple[PartsRequest, ...]) -> PartSeconds:
    """Measure in one process per request, all at the same time; the mean over processes."""
    found = in_processes(_measure, requests)
    return PartSeconds(
        spectra=sum(one.spectra for one in found),
        decode=fmean(one.decode for one in found),
        normalise=fmean(one.normalise for one in found),
        score=fmean(one.score for one in found),
        explain=fmean(one.explain for one in found),
    )


def _measure(request: PartsRequest) -> PartSeconds:
    torch.set_num_threads(1)
    model = load_model(request.model)
    scorer = Scorer(model)
    classes = request.configuration.models[0].classes
    decode = normalising = scoring = 0.0
    spectra = 0
    for turn in (0, 1):  # the first to fill caches: of the disk, of the allocator
        decode = normalising = scoring = 0.0
        spectra = 0
        for file in request.files[: 1 if turn == 0 else None]:
            begun = time.perf_counter()
            with open_spectra(file) as source:
                for first in range(0, file.spectra, BATCH_SPECTRA):
                    batch = source.read(first, min(first + BATCH_SPECTRA, file.spectra))
                    decode += time.perf_counter() - begun
                    begun = time.perf_counter()
                    normalised = normalise(batch, model.card, classes)
                    normalising += time.perf_counter() - begun
                    begun = time.perf_counter()
                    scorer.score(normalised, np.flatnonzero(normalised.scorable))
                    scoring += time.perf_counter() - begun
                    spectra += len(batch)
                    begun = time.perf_counter()
    explainer = Explainer(model, request.configuration.attribution)
    selected = _selected(normalised, request.explained + 1)
    explainer.explain(selected.take(slice(0, 1)))
    begun = time.perf_counter()
    explainer.explain(selected.take(slice(1, None)))
    explaining = time.perf_counter() - begun
    return PartSeconds(
        spectra,
        decode / spectra,
        normalising / spectra,
        scoring / spectra,
        explaining / max(1, len(selected) - 1),
    )


def _selected(normalised: NormalisedSpectra, count: int) -> SelectedSpectra:
    chosen = np.flatnonzero(normalised.scorable)[:count]
    return SelectedSpectra(
        chosen.astype(np.int64),
        normalised.rows["redshift"][chosen],
        normalised.flux[chosen],
        normalised.ivar[chosen],
        np.zeros(len(chosen), dtype=np.int8),
    )
