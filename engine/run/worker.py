"""The worker: turns one block into shards of the store and a receipt, wherever it runs.

Which spectra share a batch is fixed by the block, and the number of threads by the settings, so a
block gives the same bytes in this process and in a Ray actor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.files.source_health import SourceHealth
from engine.run.attribution_worker import AttributionWorker, system_errors
from engine.run.block_log import run_logged
from engine.run.block_reading import BlockBatch, BlockReader
from engine.spectra.exposure_remarks import counted_remarks
from engine.spectra.normalisation import normalise
from engine.spectra.rows import Rows
from engine.spectra.scored_spectra import ScoredSpectra, SelectedSpectra
from engine.spectra.scorer import Scorer
from engine.spectra.source_file import RefusedFile
from engine.spectra.spectra import Spectra
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock, SourceSlice
from engine.store.configuration import RunConfiguration
from engine.store.routing import NO_MODEL, class_counts, routed
from engine.store.store import Store
from engine.surveys.reading import unreadable_rows
from models.row_status import RowStatus
from models.spectrum_model import SpectrumModel


class BlockWorker:
    """Runs blocks with the models of a run on one device.

    Parameters
    ----------
    models : the scoring models that ``configuration`` names, in its order.
    store : where the blocks' shards go; this process writes whole shards of it and nothing else.
    configuration : the store's.
    device : torch device, e.g. ``"cpu"`` or ``"cuda"``.
    threads : torch threads of this process.
    attribution_memory : bytes that the attribution of one spectrum may take; 0 for what suits the device.

    Raises
    ------
    ConfigurationError : a model is not the one that the store was made with.
    """

    def __init__(
        self,
        models: Sequence[SpectrumModel],
        store: Store,
        configuration: RunConfiguration,
        device: str = "cpu",
        threads: int = 1,
        attribution_memory: int = 0,
    ) -> None:
        self._attribution = AttributionWorker(
            models, store, configuration, device, threads, attribution_memory
        )
        self._cards = tuple(model.card for model in models)
        self._scorers = [Scorer(model, device) for model in models]
        self._store = store
        self._configuration = configuration
        self._health = SourceHealth()
        self._computing = self._attribution.computing

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """Compute a block, write its shards and say what was written.

        From two threads, one block is read and written while another is computed.

        Raises
        ------
        RetryError : a source or the store did not answer; running the block again may help.
        """
        return run_logged(block, self._run)

    def _run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        with system_errors(block, self._store.url):
            if isinstance(block, ScoreBlock):
                return self._score(block)
            return self._attribution.explain(block)

    def _score(self, block: ScoreBlock) -> BlockResult:
        collected = _ScoredRows.empty(block, self._configuration)
        with BlockReader(block, self._configuration.grid, self._health) as reader, self._computing:
            for batch in reader:
                self._score_batch(batch, collected)
        collected.drop_unreadable(reader.unreadable)
        scored, selected = collected.scored(), collected.selected()
        objects = [*self._store.write_scores(block, scored), *self._store.stage(block, selected)]
        codes = scored.rows["status"].tolist()
        return BlockResult(
            kind=block.kind,
            index=block.index,
            plan=block.plan,
            spectra=len(scored),
            status_counts=tuple(sorted(Counter(RowStatus(code).label for code in codes).items())),
            outliers=tuple(selected.row.tolist()),
            unreadable=tuple(sorted(reader.unreadable.values(), key=lambda file: file.url)),
            objects=tuple(sorted(objects, key=lambda written: written.path)),
            classes=class_counts(scored.rows, scored.model, self._cards),
            remark_counts=counted_remarks(scored.rows["exposure_remarks"]),
        )

    def _score_batch(self, batch: BlockBatch, collected: _ScoredRows) -> None:
        """The batch's spectra model by model: which are scored together is fixed by the block."""
        data = batch.spectra.rows.data
        model = routed(self._configuration.models, data["spectype"], data["redshift"])
        fine = data["status"] == RowStatus.SCORED
        model[~fine] = NO_MODEL
        collected.rows.data[batch.rows] = data
        collected.rows.data["status"][batch.rows[fine & (model == NO_MODEL)]] = RowStatus.CLASS_NOT_MODELLED
        collected.model[batch.rows] = model
        for number in np.unique(model[model != NO_MODEL]).tolist():
            given = np.flatnonzero(model == number)
            spectra = batch.spectra if len(given) == len(model) else batch.spectra.take(given)
            self._score_with(number, batch.rows[given], spectra, collected)

    def _score_with(
        self, number: int, rows: NDArray[np.int64], spectra: Spectra, collected: _ScoredRows
    ) -> None:
        normalised = normalise(spectra, self._cards[number], ())
        collected.rows.data[rows] = normalised.rows.data
        collected.normalisation[rows] = normalised.normalisation
        chosen = np.flatnonzero(normalised.scorable)
        if not len(chosen):
            return
        scores = self._scorers[number].score(normalised, chosen)
        finite, at = scores.finite, rows[chosen]
        collected.rows.data["status"][at[~finite]] = RowStatus.NON_FINITE_SCORE
        collected.normalisation[at[~finite]] = np.nan
        kept = at[finite]
        for name in ("score", "tail_probability", "tail_uncertainty", "reconstruction"):
            getattr(collected, name)[kept] = getattr(scores, name)[finite]
        collected.latents[kept, : scores.latents.shape[1]] = scores.latents[finite]
        odd = np.flatnonzero(finite & (scores.tail_probability <= self._configuration.threshold))
        collected.outlier[at[odd]] = True
        for index in odd.tolist():
            row, source = int(at[index]), chosen[index]
            collected.flux[row], collected.ivar[row] = normalised.flux[source], normalised.ivar[source]


@dataclass
class _ScoredRows:
    """A score block being filled, row by row of the block."""

    first_row: int
    rows: Rows
    source: list[str]
    model: NDArray[np.int8]
    latents: NDArray[np.float32]
    score: NDArray[np.float32]
    tail_probability: NDArray[np.float32]
    tail_uncertainty: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    normalisation: NDArray[np.float32]
    outlier: NDArray[np.bool_]
    pixels: int
    flux: dict[int, NDArray[np.float32]]
    ivar: dict[int, NDArray[np.float32]]
    slices: tuple[SourceSlice, ...]

    @classmethod
    def empty(cls, block: ScoreBlock, configuration: RunConfiguration) -> _ScoredRows:
        """Nothing scored yet."""
        count = block.spectra

        def nothing(*shape: int) -> NDArray[np.float32]:
            return np.full(shape, np.nan, dtype=np.float32)

        return cls(
            first_row=block.first_row,
            rows=Rows.empty(count),
            source=[part.file.url for part in block.slices for _ in range(part.spectra)],
            model=np.full(count, NO_MODEL, dtype=np.int8),
            latents=nothing(count, configuration.latents),
            score=nothing(count),
            tail_probability=nothing(count),
            tail_uncertainty=nothing(count),
            reconstruction=nothing(count, len(configuration.reconstruction_scores)),
            normalisation=nothing(count),
            outlier=np.zeros(count, dtype=np.bool_),
            pixels=configuration.grid.size,
            flux={},
            ivar={},
            slices=block.slices,
        )

    def drop_unreadable(self, unreadable: Mapping[str, RefusedFile]) -> None:
        """Turn all rows of unreadable files, also those read before the damage, into rows that say so."""
        stop = 0
        for part in self.slices:
            where = slice(stop, stop + part.spectra)
            stop = where.stop
            if part.file.url not in unreadable:
                continue
            self.rows.data[where] = unreadable_rows(part.file, part.start, part.stop).data
            for values in (
                self.latents, self.score, self.tail_probability, self.tail_uncertainty, self.reconstruction,
                self.normalisation,
            ):  # fmt: skip
                values[where] = np.nan
            self.model[where] = NO_MODEL
            self.outlier[where] = False

    def scored(self) -> ScoredSpectra:
        """The finished block."""
        return ScoredSpectra(
            self.rows,
            tuple(self.source),
            self.model,
            self.latents,
            self.score,
            self.tail_probability,
            self.tail_uncertainty,
            self.reconstruction,
            self.normalisation,
            self.outlier,
        )

    def selected(self) -> SelectedSpectra:
        """The block's outliers as scored."""
        chosen = np.flatnonzero(self.outlier)
        shape = (len(chosen), self.pixels)
        flux, ivar = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        for index, row in enumerate(chosen.tolist()):
            flux[index], ivar[index] = self.flux[row], self.ivar[row]
        return SelectedSpectra(
            self.first_row + chosen, self.rows["redshift"][chosen], flux, ivar, self.model[chosen]
        )
