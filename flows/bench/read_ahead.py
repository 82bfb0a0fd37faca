"""Read-ahead: the overlap of reading and computing; the same block is read, computed, and both at once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine.files.source_health import SourceHealth
from engine.run.block_reading import BlockReader
from engine.spectra.normalisation import normalise
from engine.spectra.scorer import Scorer
from engine.spectra.source_file import SourceFile
from engine.spectra.spectra import Spectra
from engine.store.blocks import ScoreBlock, SourceSlice
from flows.bench.slow_files import PROTOCOL, use_delay
from models.spectrum_model import SpectrumModel


@dataclass(frozen=True)
class ReadAhead:
    """One thread of compute, files behind a delay per request.

    Attributes
    ----------
    spectra, files : what was read.
    delay_seconds : of each request.
    reading_seconds : of reading alone.
    computing_seconds : of normalising and scoring alone, the spectra being in memory.
    seconds : of both, as a worker does it.
    """

    spectra: int
    files: int
    delay_seconds: float
    reading_seconds: float
    computing_seconds: float
    seconds: float

    @property
    def hidden(self) -> float:
        """Share of the shorter of the two that the other hides: 0 if they take turns, 1 if it is free."""
        both = self.reading_seconds + self.computing_seconds
        return (both - self.seconds) / min(self.reading_seconds, self.computing_seconds)


def measure_read_ahead(
    model: SpectrumModel, files: tuple[SourceFile, ...], delay_seconds: float
) -> ReadAhead:
    """Read ``files``, which are local, as if each request to them took ``delay_seconds``."""
    torch.set_num_threads(1)
    use_delay(delay_seconds)
    slices = tuple(SourceSlice(_delayed(file), 0, file.spectra) for file in files)
    spectra = sum(part.spectra for part in slices)
    block = ScoreBlock(0, spectra, "", slices)
    scorer = Scorer(model)

    def compute(batches: Iterable[Spectra]) -> None:
        for batch in batches:
            normalised = normalise(batch, model.card, ())
            scorer.score(normalised, np.flatnonzero(normalised.scorable))

    def seconds_of(what: Iterable[Spectra]) -> float:
        begun = time.perf_counter()
        compute(what)
        return time.perf_counter() - begun

    with BlockReader(block, model.card.grid, SourceHealth()) as reader:
        begun = time.perf_counter()
        kept = [batch.spectra for batch in reader]
        reading = time.perf_counter() - begun
    compute(kept[:1])
    computing = seconds_of(kept)
    with BlockReader(block, model.card.grid, SourceHealth()) as reader:
        both = seconds_of(batch.spectra for batch in reader)
    return ReadAhead(spectra, len(files), delay_seconds, reading, computing, both)


def _delayed(file: SourceFile) -> SourceFile:
    redshifts = f"{PROTOCOL}://{file.redshift_url}" if file.redshift_url else ""
    return replace(file, url=f"{PROTOCOL}://{file.url}", redshift_url=redshifts)
