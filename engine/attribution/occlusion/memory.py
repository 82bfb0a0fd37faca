"""Batches of baselines and zone rows: planned from the memory allowed, before any work."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.attribution.memory import WHERE
from engine.attribution.occlusion.mixing import Sum
from engine.attribution.occlusion.network import Network
from engine.attribution.occlusion.seam_work import SeamWork
from models.errors import ConfigurationError, ErrorKind

_CACHE_ROWS = 4000
"""Rows of a zone that a processor works on at once: its arrays stay in the caches."""
_FEWEST_ROWS = 256
_READOUT_ROWS = 4096
"""(baseline, window) rows whose features may be held at once, in all the forms they pass through."""
_REUSED = 0.7
"""Share of the memory that is planned with if there are several batches: not all that one leaves free in
the C library's heap has a shape that the next can use (up to a quarter was seen lost)."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Baselines whose activations are held at once, and (baseline, seam, piece) rows of a zone."""

    baselines: int
    rows: int


def batches(network: Network, work: SeamWork, baselines: int, like: Tensor, memory_bytes: int) -> Batches:
    """The largest batches that fit; fewer baselines before fewer rows.

    Raises
    ------
    ConfigurationError : not even one baseline fits.
    """
    each = bytes_per_baseline(network, work, like.element_size())
    row = bytes_per_row(network, work, like.element_size())
    of_readout = 0
    if network.readout is not None:
        shared, _ = network.readout.module.table_bytes(network.pixels, like.element_size())
        of_readout = shared + _READOUT_ROWS * network.readout.module.features * like.element_size()
    least = each + _FEWEST_ROWS * row + of_readout
    if memory_bytes < least:
        raise ConfigurationError(
            "The memory allowed for occlusion does not hold the activations of a single baseline.",
            where=WHERE,
            got=f"{memory_bytes} bytes",
            allowed=f"at least {least} bytes for {network.pixels} pixels and these windows",
            remedy="Raise it; 256 MB suit a processor, some GB an accelerator.",
            kind=ErrorKind.OCCLUSION_MEMORY,
        )
    memory_bytes -= of_readout
    on_processor = like.device.type == "cpu"
    wanted = min((memory_bytes - each) // row, _CACHE_ROWS)
    together = min((memory_bytes - wanted * row) // each, baselines)
    if on_processor and together < baselines:
        together = max(int(memory_bytes * _REUSED - wanted * row) // each, 1)
    # Equal shares: the last batch is no smaller than it need be.
    together = -(-baselines // -(-baselines // together))
    return Batches(together, wanted if on_processor else (memory_bytes - together * each) // row)


def bytes_per_baseline(network: Network, work: SeamWork, size: int) -> int:
    """What the activations of one baseline take at their peak, and the sums kept over all seams."""
    held, peak, inputs = 0, 0, network.pixels
    channels = network.input_channels
    for stage, (low, high) in zip(network.stages, work.halos[1:], strict=True):
        mixed = stage.positions * stage.mixed
        padded = (stage.positions + low + high) * stage.mixed
        kept = padded * size * (2 + stage.terms)
        # b and x before and after, their difference, a padded copy and its taps side by side.
        passing = 8 * (5 * inputs * channels + stage.mixing.kernel * stage.positions * channels + 6 * mixed)
        if isinstance(stage.mixing, Sum):
            kept += (stage.mixing.kernel + 1) * padded * size
            passing += 8 * (stage.mixing.kernel + 2) * mixed
        else:
            kept += 8 * (2 * inputs * channels + padded)
        held += kept
        peak = max(peak, held + passing)
        inputs, channels = stage.positions, stage.channels
    pooled = inputs * (8 * 4 * network.sums + 8 * 3 * channels + 12 * network.pooling_numbers)
    peak = max(peak, held + pooled)
    held += inputs * (8 * network.sums + size * network.pooling_numbers)
    # Sums over the zones of one group at all its seams, three of them and what is kept of them.
    seams = max((zones.stop * zones.phases for zones in work.seams), default=0)
    overlapping = sum(
        any(zones.slots[-1] * network.stride > family.width for zones in work.seams) for family in work.pairs
    )
    sums = (seams * (3 + overlapping) + len(work.starts) + len(work.stops)) * network.sums
    if network.readout is not None:
        _, tables = network.readout.module.table_bytes(network.pixels, size)
        held += tables + size * network.readout.numbers
    results = 2 * sum(work.counts) + (len(work.pairs) + len(work.narrow)) * (network.pixels + 1)
    return max(peak, held + size * (sums + results))


def bytes_per_row(network: Network, work: SeamWork, size: int) -> int:
    """What one row of a zone takes at its peak, on its way from pixels to the score."""
    zones = max((zones.numbers for zones in (*work.seams, *work.pieces)), default=0)
    head = 4 * network.sums + 2 * network.head_numbers + 2 * network.outputs
    return size * max(zones, head)
