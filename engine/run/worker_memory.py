"""The memory of a worker, estimated before one is started. It needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.attribution.memory import DEFAULT_MEMORY
from engine.run.block_reading import BATCH_SPECTRA, READ_AHEAD
from engine.store.configuration import RunConfiguration
from engine.store.schema import scales_of
from models.model_files import ModelFiles

_PROCESS_BYTES = 400 * 2**20
"""A process with torch and zarr loaded, before it holds any model or spectrum."""

_HELD = 16
"""Arrays of a batch's size that are held beside the model's layers."""


def worker_bytes(
    configuration: RunConfiguration,
    models: Sequence[ModelFiles],
    attribution_memory: int = 0,
    source_bytes: int = 0,
) -> int:
    """Memory that a worker needs at most, estimated from what it holds at once.

    ``models`` are those of the run; ``attribution_memory`` is what the attribution of one spectrum may take,
    0 for the default; ``source_bytes`` what the files hold that a block is read from.
    """
    spectrum = configuration.grid.size * 4
    # Flux, ivar and mask as read, normalised and as tensors, the reconstruction; the model's layers.
    held = _HELD + max(model.floats_per_pixel for model in models)
    scoring: float = (BATCH_SPECTRA * held + READ_AHEAD * 2) * spectrum
    selected = configuration.block_rows * min(1.0, 4 * configuration.threshold) * spectrum * 4
    maps = 2 * len(scales_of(configuration)) + 4
    # An attribution block is held whole, and one array of it a second time while it is encoded.
    attribution = configuration.outlier_block_rows * spectrum * 2 * maps
    # Twice what is kept until it is written: one block is written while the next is computed.
    scoring += 2 * selected + source_bytes
    attribution = 2 * attribution + (attribution_memory or DEFAULT_MEMORY)
    # As they are, and a copy in float64 that explains.
    loaded = 3 * sum(model.tensor_bytes for model in models)
    return _PROCESS_BYTES + loaded + int(max(scoring, attribution))
