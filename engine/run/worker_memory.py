"""The memory of a worker, estimated before one is started. It needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.attribution.memory import DEFAULT_MEMORY, check_held, spectra_at_once
from engine.attribution.method import MethodSettings
from engine.attribution.methods import method_of
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
    """Memory that a worker of a run needs at most, estimated from what it holds at once.

    ``models`` are those of the run; ``attribution_memory`` is what the attribution of one spectrum may take,
    0 for the default; ``source_bytes`` what the files hold that a block is read from.
    """
    return max(
        _scoring_bytes(configuration, models, source_bytes),
        explaining_bytes(configuration, models, attribution_memory),
    )


def _scoring_bytes(configuration: RunConfiguration, models: Sequence[ModelFiles], source_bytes: int) -> int:
    """What :func:`worker_bytes` gives a worker while it scores."""
    spectrum = configuration.grid.size * 4
    # Flux, ivar and mask as read, normalised and as tensors, the reconstruction; the model's layers.
    held = _HELD + max(model.floats_per_pixel for model in models)
    scoring: float = (BATCH_SPECTRA * held + READ_AHEAD * 2) * spectrum
    selected = configuration.block_rows * min(1.0, 4 * configuration.threshold) * spectrum * 4
    # Twice what is kept until it is written: one block is written while the next is computed.
    return _loaded(models) + int(scoring + 2 * selected) + source_bytes


def explaining_bytes(
    configuration: RunConfiguration, models: Sequence[ModelFiles], attribution_memory: int = 0
) -> int:
    """What :func:`worker_bytes` gives a worker while it explains."""
    maps = 2 * len(scales_of(configuration)) + 4
    # An attribution block is held whole, and one array of it a second time while it is encoded.
    block = configuration.outlier_block_rows * configuration.grid.size * 4 * 2 * maps
    return _loaded(models) + 2 * block + (attribution_memory or DEFAULT_MEMORY)


def check_attribution_memory(
    attribution: MethodSettings, models: Sequence[ModelFiles], memory_bytes: int
) -> None:
    """Refuse memory in which a method cannot score a single spectrum, or that does not hold what it draws.

    0 is what suits the device. Which one that is, is not known here: for what is drawn it counts as a
    processor's. Occlusion by seams needs more, and says how much when it begins.

    Raises
    ------
    ConfigurationError : it is too little.
    """
    method = method_of(attribution)
    for model in models:
        held = method.held(attribution, model.card.grid.size)
        check_held(memory_bytes or DEFAULT_MEMORY, held, f"what {method.name} draws for one spectrum")
    if not memory_bytes:
        return
    slopes = "gradient" in method.needs
    for model in models:
        floats = model.gradient_floats_per_pixel if slopes else model.floats_per_pixel
        spectra_at_once(memory_bytes, floats, model.card.grid.size)


def _loaded(models: Sequence[ModelFiles]) -> int:
    """The process and its models: as they are, and a copy in float64 that explains."""
    return _PROCESS_BYTES + 3 * sum(model.tensor_bytes for model in models)
