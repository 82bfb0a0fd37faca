"""Work of occlusion by seams: which windows need which zones, found once for all baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.attribution.occlusion.mixing import Sum
from engine.attribution.occlusion.network import Network
from engine.attribution.occlusion.windows import Scale
from engine.attribution.occlusion.zones import Group, Piece, Zones, groups, zone_slots


@dataclass(frozen=True, eq=False)
class Family:
    """Windows of one width with both ends inside the spectrum.

    Attributes
    ----------
    width : in pixels; phases : remainders of the starts modulo the network's stride.
    scale, window, start : (n,) for each window, which scale, which of its windows, where it starts.
    """

    width: int
    phases: frozenset[int]
    scale: NDArray[np.int64]
    window: NDArray[np.int64]
    start: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SeamWork:
    """Which zones are needed for which windows.

    Attributes
    ----------
    seams : zones of both kinds of seam, for all phases where one is needed.
    pairs : families whose two seams have the same phase, and no position straddles both but in the
        last stage.
    pieces : zones of whole pieces, for ``narrow``.
    narrow : families that carry the whole piece as their zone.
    loose : (n, 4) scale, window, start, stop of all others, none of which has a position that
        straddles both ends.
    starts, stops : the seams of ``loose``, ascending.
    counts : windows of each scale.
    halos : positions of padding, before and after, of the input and of every stage.
    """

    seams: tuple[Zones, ...]
    pairs: tuple[Family, ...]
    pieces: tuple[Zones, ...]
    narrow: tuple[Family, ...]
    loose: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    counts: tuple[int, ...]
    halos: list[tuple[int, int]]


def seam_work(network: Network, scales: Sequence[Scale]) -> SeamWork:
    """The work that the windows of ``scales`` need."""
    stride, stages = network.stride, network.stages
    table = np.concatenate(
        [
            np.stack((np.full(len(s), n), np.arange(len(s)), s.start, s.stop), axis=1)
            for n, s in enumerate(scales)
        ]
    ).astype(np.int64)
    width = table[:, 3] - table[:, 2]
    one_seam = (table[:, 2] == 0) | (table[:, 3] == network.pixels)
    # A position straddles both ends only if it sees more than the window.
    apart = width >= stages[-1].reach.field - 1
    before_last = stages[-2].reach.field if len(stages) > 1 else 1
    touching = (width >= before_last - 1) & isinstance(stages[-1].mixing, Sum)
    paired = ~one_seam & (width % stride == 0) & (apart | touching)
    loose = ~paired & (one_seam | apart)
    pairs = _families(table[paired], stride)
    narrow = _families(table[~paired & ~loose], stride)
    starts, stops = np.unique(table[loose, 2]), np.unique(table[loose, 3])
    phases = {phase for family in pairs for phase in family.phases}
    phases.update((starts % stride).tolist(), (stops % stride).tolist())
    found = groups(network, sorted(phases | {p for family in narrow for p in family.phases}))
    of_seams = [group.only(frozenset(phases)) for group in found]
    return SeamWork(
        seams=tuple(Zones(network, group, ("left", "right")) for group in of_seams if group.phases),
        pairs=pairs,
        pieces=tuple(_pieces(network, found, narrow)),
        narrow=narrow,
        loose=table[loose],
        starts=starts,
        stops=stops,
        counts=tuple(len(scale) for scale in scales),
        halos=_halos(network, found, [family.width for family in narrow]),
    )


def _pieces(network: Network, found: Sequence[Group], narrow: Sequence[Family]) -> Iterator[Zones]:
    """Zones of narrow pieces; those that are alike after the first stage are cheaper together."""
    for group in found:
        together: dict[tuple[Group, tuple[int, ...]], list[int]] = {}
        for family in narrow:
            own = group.only(family.phases)
            if own.phases:
                slots = zone_slots(network, own, (family.width,))
                together.setdefault((own, slots[2:]), []).append(family.width)
        for (own, _), widths in together.items():
            yield Zones(network, own, widths)


def _families(table: NDArray[np.int64], stride: int) -> tuple[Family, ...]:
    width = table[:, 3] - table[:, 2]
    families = []
    for value in np.unique(width).tolist():
        scale, window, start = table[width == value, :3].T
        families.append(Family(value, frozenset((start % stride).tolist()), scale, window, start))
    return tuple(families)


def _halos(network: Network, found: Sequence[Group], widths: Sequence[int]) -> list[tuple[int, int]]:
    """Padding such that every zone's view stays inside the arrays, at the input and at every stage."""
    halos = []
    for number in range(len(network.stages) + 1):
        low, high = 0, 0
        reach = network.stages[number - 1].reach if number else None
        count = network.stages[number - 1].positions if number else network.pixels
        step = network.stride // (reach.stride if reach else 1)
        for group in found:
            last_q = (network.pixels - group.phases[0]) // network.stride
            seam: Piece = "left"
            for piece in (seam, *widths):
                slots = zone_slots(network, group, (piece,))
                begin, end = group.first[number], group.first[number] + slots[number]
                if number < len(network.stages):
                    # The next layer, where it needs all its taps, looks beside the zone.
                    mixing = network.stages[number].mixing
                    after = group.first[number + 1]
                    begin = min(begin, after * mixing.stride - mixing.padding)
                    reaching = (after + slots[number + 1] - 1) * mixing.stride - mixing.padding
                    end = max(end, reaching + mixing.dilation * (mixing.kernel - 1) + 1)
                low, high = max(low, -begin), max(high, end + last_q * step - count)
        halos.append((low, high))
    return halos
