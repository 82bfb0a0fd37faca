"""The worker: turns one block into shards of the store and a receipt, wherever it runs.

Which spectra share a batch is fixed by the block, and the number of threads by the settings, so a
block gives the same bytes in this process and in a Ray actor.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.block_log import logged_block
from engine.block_reading import BATCH_SPECTRA, READ_AHEAD, BlockBatch, BlockReader
from engine.blocks import AttributionBlock, BlockResult, ScoreBlock, SourceSlice, WrittenObject
from engine.explainer import Explainer
from engine.normalisation import normalise
from engine.occlusion.memory import DEFAULT_MEMORY
from engine.rows import Rows
from engine.run_configuration import RunConfiguration
from engine.scored_spectra import ScoredSpectra, SelectedSpectra
from engine.scorer import Scorer
from engine.signatures import counted
from engine.source_file import RefusedFile
from engine.source_health import SourceHealth
from engine.store.store import Store
from models.errors import ConfigurationError, RetryError
from models.row_status import RowStatus
from models.spectrum_model import SpectrumModel

_PROCESS_BYTES = 400 * 2**20
"""A process with torch, zarr and a model loaded, before it holds any spectrum."""


def worker_bytes(configuration: RunConfiguration, occlusion_memory: int = 0, source_bytes: int = 0) -> int:
    """Memory that a worker needs at most, estimated from what it holds at once.

    ``occlusion_memory`` is what the occlusion of one spectrum may take, 0 for the default;
    ``source_bytes`` what the files hold that a block is read from.
    """
    spectrum = configuration.grid.size * 4
    # Flux, ivar and mask as read, normalised and as tensors, the model's layers, the reconstruction.
    scoring: float = (BATCH_SPECTRA * 40 + READ_AHEAD * 2) * spectrum
    selected = configuration.block_rows * min(1.0, 4 * configuration.threshold) * spectrum * 4
    maps = 2 * len(configuration.occlusion.windows) + 4
    # An attribution block is held whole, and one array of it a second time while it is encoded.
    attribution = configuration.outlier_block_rows * spectrum * 2 * maps
    # Twice what is kept until it is written: one block is written while the next is computed.
    scoring += 2 * selected + source_bytes
    attribution = 2 * attribution + (occlusion_memory or DEFAULT_MEMORY)
    return _PROCESS_BYTES + int(max(scoring, attribution))


class BlockWorker:
    """Runs blocks with one model on one device.

    Parameters
    ----------
    model : the scoring model that ``configuration`` names.
    store : where the blocks' shards go; this process writes whole shards of it and nothing else.
    configuration : the store's.
    device : torch device, e.g. ``"cpu"`` or ``"cuda"``.
    threads : torch threads of this process.
    occlusion_memory : bytes that the occlusion of one spectrum may take; 0 for what suits the device.

    Raises
    ------
    ConfigurationError : the model is not the one that the store was made with.
    """

    def __init__(
        self,
        model: SpectrumModel,
        store: Store,
        configuration: RunConfiguration,
        device: str = "cpu",
        threads: int = 1,
        occlusion_memory: int = 0,
    ) -> None:
        if model.card.digest != configuration.model_digest:
            raise ConfigurationError(
                "The model here is not the model that the run was planned with.",
                where=f"model {configuration.model}",
                got=model.card.digest,
                allowed=configuration.model_digest,
                remedy="Make the same model available to every worker, then continue the run.",
                kind="model-digest",
            )
        torch.set_num_threads(threads)
        self._card = model.card
        self._scorer = Scorer(model, device)
        self._explainer = Explainer(model, configuration.occlusion, device, occlusion_memory)
        self._store = store
        self._configuration = configuration
        self._health = SourceHealth()
        self._computing = threading.Lock()

    @logged_block
    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """Compute a block, write its shards and say what was written.

        From two threads, one block is read and written while another is computed.

        Raises
        ------
        RetryError : a source or the store did not answer; running the block again may help.
        """
        try:
            return self._score(block) if isinstance(block, ScoreBlock) else self._attribute(block)
        except OSError as error:
            raise RetryError(
                "A worker's system refused to read or write.",
                where=f"{block.kind} block {block.index} of {self._store.url}",
                got=f"{type(error).__name__}: {error}",
                remedy="Check space, permission and network of the store's disk, then continue the run.",
                kind="worker-system",
            ) from error

    # Score blocks.

    def _score(self, block: ScoreBlock) -> BlockResult:
        collected = _ScoredRows.empty(block, self._configuration)
        with BlockReader(block, self._configuration.grid, self._health) as reader, self._computing:
            for batch in reader:
                self._score_batch(batch, collected)
        collected.drop_unreadable(reader.unreadable)
        scored, selected = collected.scored(), collected.selected()
        objects = [*self._store.write_scores(block, scored), *self._store.stage(block, selected)]
        codes = scored.rows["status"].tolist()
        return _receipt(
            block,
            spectra=len(scored),
            statuses=Counter(RowStatus(code).label for code in codes),
            outliers=tuple(selected.row.tolist()),
            unreadable=tuple(reader.unreadable.values()),
            objects=objects,
        )

    def _score_batch(self, batch: BlockBatch, collected: _ScoredRows) -> None:
        rows = batch.rows
        normalised = normalise(batch.spectra, self._card, self._configuration.classes)
        collected.rows.data[rows] = normalised.rows.data
        collected.normalisation[rows] = normalised.normalisation
        chosen = np.flatnonzero(normalised.scorable)
        if not len(chosen):
            return
        scores = self._scorer.score(normalised, chosen)
        finite, at = scores.finite, rows[chosen]
        collected.rows.data["status"][at[~finite]] = RowStatus.NON_FINITE_SCORE
        collected.normalisation[at[~finite]] = np.nan
        kept = at[finite]
        for name in ("latents", "score", "tail_probability", "reconstruction"):
            getattr(collected, name)[kept] = getattr(scores, name)[finite]
        odd = np.flatnonzero(finite & (scores.tail_probability <= self._configuration.threshold))
        collected.outlier[at[odd]] = True
        for index in odd.tolist():
            row, source = int(at[index]), chosen[index]
            collected.flux[row], collected.ivar[row] = normalised.flux[source], normalised.ivar[source]

    # Attribution blocks.

    def _attribute(self, block: AttributionBlock) -> BlockResult:
        selected = self._store.staged(block.rows)
        with self._computing:
            explanations = self._explainer.explain(selected)
        unexplained = int(np.isnan(explanations.log_prob).sum())
        statuses = Counter(
            {
                RowStatus.SCORED.label: len(explanations) - unexplained,
                RowStatus.NON_FINITE_SCORE.label: unexplained,
            }
        )
        objects = self._store.write_explanations(block, explanations)
        return _receipt(
            block,
            spectra=len(explanations),
            statuses=+statuses,
            objects=[*objects],
            signatures=counted(explanations.signatures),
        )


@dataclass
class _ScoredRows:
    """A score block being filled, row by row of the block."""

    first_row: int
    rows: Rows
    source: list[str]
    latents: NDArray[np.float32]
    score: NDArray[np.float32]
    tail_probability: NDArray[np.float32]
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
            latents=nothing(count, configuration.latents),
            score=nothing(count),
            tail_probability=nothing(count),
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
            rows = Rows.empty(part.spectra)
            rows.data["specprod"] = part.file.specprod
            rows.data["survey"] = part.file.survey
            rows.data["program"] = part.file.program
            rows.data["source_row"] = np.arange(part.start, part.stop)
            rows.data["status"] = RowStatus.FILE_UNREADABLE
            self.rows.data[where] = rows.data
            for values in (
                self.latents, self.score, self.tail_probability, self.reconstruction, self.normalisation,
            ):  # fmt: skip
                values[where] = np.nan
            self.outlier[where] = False

    def scored(self) -> ScoredSpectra:
        """The finished block."""
        return ScoredSpectra(
            self.rows,
            tuple(self.source),
            self.latents,
            self.score,
            self.tail_probability,
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
        return SelectedSpectra(self.first_row + chosen, self.rows["redshift"][chosen], flux, ivar)


def _receipt(
    block: ScoreBlock | AttributionBlock,
    *,
    spectra: int,
    statuses: Counter[str],
    objects: list[WrittenObject],
    outliers: tuple[int, ...] = (),
    unreadable: tuple[RefusedFile, ...] = (),
    signatures: tuple[tuple[str, int], ...] = (),
) -> BlockResult:
    return BlockResult(
        kind=block.kind,
        index=block.index,
        plan=block.plan,
        spectra=spectra,
        status_counts=tuple(sorted(statuses.items())),
        outliers=outliers,
        unreadable=tuple(sorted(unreadable, key=lambda file: file.url)),
        objects=tuple(sorted(objects, key=lambda written: written.path)),
        signature_counts=signatures,
    )
