"""Cost of occlusion by seams, counted: to plan it, and to compare its speed with what is possible."""

from __future__ import annotations

from dataclasses import dataclass

from engine.attribution.occlusion.mixing import Sum
from engine.attribution.occlusion.network import Network
from engine.attribution.occlusion.seam_work import SeamWork


@dataclass(frozen=True, slots=True)
class Cost:
    """Counts for one spectrum.

    Attributes
    ----------
    multiply_adds : of matrix products in zones, pooling and head, and of the passes over baselines
        and spectrum.
    bytes_moved : to and from main memory if all that belongs to one row of a zone stays in a cache:
        activations written and read once per kind of zone, sums over zones and results likewise.
    """

    multiply_adds: int
    bytes_moved: int


def cost(network: Network, work: SeamWork, baselines: int) -> Cost:
    """The counts for ``baselines`` baselines in float32."""
    passes = activations = 0
    for stage in network.stages:
        mixed = stage.positions * stage.mixed
        if isinstance(stage.mixing, Sum):
            # b once, and x - b tap by tap.
            passes += 2 * stage.positions * stage.mixing.weight.numel()
            activations += (stage.mixing.kernel + 1) * mixed
        activations += mixed * (1 + stage.terms)
    last = network.stages[-1]
    passes += 2 * last.positions * network.pooling.multiply_adds
    activations += last.positions * (network.pooling_numbers + 2 * network.sums)
    head, zones = network.head.multiply_adds, 0
    if network.readout is not None:
        head += network.readout.rule.multiply_adds
    windows = len(work.loose)
    for of_seams in work.seams:
        zones += of_seams.stop * of_seams.rows * of_seams.multiply_adds
        own = sum(len(family.phases.intersection(of_seams.group.phases)) for family in work.pairs)
        windows += own * of_seams.stop
    for of_pieces in work.pieces:
        zones += of_pieces.stop * of_pieces.rows * of_pieces.multiply_adds
        windows += of_pieces.stop * of_pieces.rows
    seams = sum(zones.stop * zones.rows for zones in work.seams)
    # Every zone of a group reads the activations around it; groups share none of them but the halo.
    kinds = 2 * bool(work.seams) + len(work.narrow)
    moved = activations * (1 + kinds) + seams * network.sums * (1 + len(work.pairs)) + 2 * windows
    shared, tables = 0, 0
    if network.readout is not None:
        # Written once, and read once for windows that lie side by side.
        shared, tables = network.readout.module.table_bytes(network.pixels, 4)
    bytes_moved = 2 * shared + baselines * (4 * moved + 2 * tables)
    return Cost(baselines * (passes + zones + windows * head), bytes_moved)
