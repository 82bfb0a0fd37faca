"""Parts of a run, measured in this process without the run: decoding, scoring, explaining."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from engine.attribution.explainer import Explainer
from engine.run.block_reading import BATCH_SPECTRA
from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.scorer import Scorer
from engine.spectra.spectra import Spectra
from engine.store.blocks import SourceSlice
from engine.store.configuration import RunConfiguration
from engine.surveys.reading import open_spectra
from models.weights import load_model


@dataclass(frozen=True)
class PartsRequest:
    """The work of one measuring process.

    Attributes
    ----------
    model : name or directory of one of the run's models; classes : that it scores.
    configuration : of the run.
    slices : the spectra, at least one.
    explained : spectra that are explained; 0 for none.
    threads : of torch.
    """

    model: str
    classes: tuple[str, ...]
    configuration: RunConfiguration
    slices: tuple[SourceSlice, ...]
    explained: int
    threads: int = 1


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


@dataclass(frozen=True)
class MeasuredParts:
    """What one process measured.

    Attributes
    ----------
    seconds : of the parts.
    scored : of the spectra; outliers : of these, those at or below the run's threshold.
    explained : spectra that the time of an explanation is of.
    """

    seconds: PartSeconds
    scored: int
    outliers: int
    explained: int


def measured_parts(request: PartsRequest) -> MeasuredParts:
    """Measure the parts of a run on one worker's threads."""
    with _threads(request.threads):
        return _measured(request)


def _measured(request: PartsRequest) -> MeasuredParts:
    model = load_model(request.model)
    scorer = Scorer(model)
    # Twice, the first time to fill caches: of the disk, of the allocator.
    for slices in (request.slices[:1], request.slices):
        decode = normalising = scoring = 0.0
        spectra = scored = outliers = 0
        selected = SelectedSpectra.concatenate(request.configuration.grid.size, [])
        begun = time.perf_counter()
        for batch in _batches(slices):
            decode += time.perf_counter() - begun
            begun = time.perf_counter()
            normalised = normalise(batch, model.card, request.classes)
            normalising += time.perf_counter() - begun
            begun = time.perf_counter()
            found = scorer.score(normalised, np.flatnonzero(normalised.scorable))
            scoring += time.perf_counter() - begun
            spectra += len(batch)
            scored += len(found.score)
            outliers += int((found.tail_probability <= request.configuration.threshold).sum())
            if len(selected) <= request.explained:
                selected = _selected(normalised, request.explained + 1)
            begun = time.perf_counter()
    explaining = 0.0
    explained = min(request.explained, max(0, len(selected) - 1))
    if explained:
        explainer = Explainer(model, request.configuration.attribution)
        explainer.explain(selected.take(slice(0, 1)))
        begun = time.perf_counter()
        explainer.explain(selected.take(slice(1, None)))
        explaining = (time.perf_counter() - begun) / explained
    seconds = PartSeconds(spectra, decode / spectra, normalising / spectra, scoring / spectra, explaining)
    return MeasuredParts(seconds, scored, outliers, explained)


def _batches(slices: Sequence[SourceSlice]) -> Iterator[Spectra]:
    """Spectra of all slices as a run takes them: in full batches, whatever files they come from."""
    parts: list[Spectra] = []
    for part in slices:
        with open_spectra(part.file, part.start, part.stop) as source:
            first = part.start
            while first < part.stop:
                room = BATCH_SPECTRA - sum(len(each) for each in parts)
                stop = min(first + room, part.stop)
                parts.append(source.read(first, stop))
                first = stop
                if sum(len(each) for each in parts) == BATCH_SPECTRA:
                    yield Spectra.concatenate(parts[0].grid, parts)
                    parts = []
    if parts:
        yield Spectra.concatenate(parts[0].grid, parts)


def _selected(normalised: NormalisedSpectra, count: int) -> SelectedSpectra:
    chosen = np.flatnonzero(normalised.scorable)[:count]
    return SelectedSpectra(
        chosen.astype(np.int64),
        normalised.rows["redshift"][chosen],
        normalised.flux[chosen],
        normalised.ivar[chosen],
        np.zeros(len(chosen), dtype=np.int8),
    )


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
