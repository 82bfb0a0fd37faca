"""Exact occlusion at the cost of its seams: only what straddles a border of a window is computed anew.

See docs/occlusion.md for the argument. In short: left of a window a pasted spectrum is the baseline b,
inside it is the spectrum x, right of it b again, and the activations of b and x are known from one pass
each. The pooling is a sum over positions, so a wide window costs a look-up: its two seams' zones and a
difference of running sums between them. Seams are shared by all windows that have one there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.occlusion.activations import Activations, activations
from engine.occlusion.mixing import Sum
from engine.occlusion.network import Network, take_apart
from engine.occlusion.request import OcclusionRequest
from engine.occlusion.windows import Scale
from engine.occlusion.zones import Group, Zone, Zones, groups, zone_slots
from models.additive_pooling import Part
from models.local_score import LocalScore

_ROWS = 4000
"""Rows (baseline, seam) of a zone that are computed at once: few enough to stay in a processor's cache."""


class SeamOccluder:
    """Occludes a :class:`LocalScore`; results are those of whole forward passes.

    Parameters
    ----------
    score : the model, of any floating type; a copy in float64 is kept.
    memory_bytes : what one call may take beside the request and its result.
    """

    def __init__(self, score: LocalScore, memory_bytes: int) -> None:
        self._score = copy.deepcopy(score).double()
        self._memory_bytes = memory_bytes
        self._networks: dict[int, Network] = {}

    def differences(self, request: OcclusionRequest, scales: Sequence[Scale]) -> list[Tensor]:
        """Per scale, (M, number of windows), see :class:`engine.occlusion.request.Occluder`."""
        with torch.no_grad():
            device, pixels = request.spectrum.device, request.pixels
            network = take_apart(self._score, pixels, device)
            work = _Work.of(network, scales)
            results = [request.spectrum.new_zeros(len(request.baselines), len(scale)) for scale in scales]
            if not any(len(scale) for scale in scales):
                return results
            chunk = 8
            for low in range(0, len(request.baselines), chunk):
                baselines = request.baselines[low : low + chunk]
                donors = torch.where(request.good, request.spectrum, baselines)
                known = activations(
                    network, donors.double(), baselines.double(), work.halos, request.spectrum.dtype
                )
                for scale, result in zip(
                    results, _Occlusion(network, known, work, _ROWS).run(), strict=True
                ):
                    scale[low : low + chunk] = result
            return results


@dataclass(frozen=True, eq=False)
class _Family:
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
class _Work:
    """Which zones are needed for which windows.

    Attributes
    ----------
    groups : of all phases at which any zone begins.
    seams : phases at which a seam's zone is needed.
    pairs : families whose two seams have the same phase, and no position straddles both but in the
        last stage.
    narrow : families that carry the whole piece as their zone.
    loose : (n, 4) scale, window, start, stop of all others, none of which has a position that
        straddles both ends.
    starts, stops : the seams of ``loose``, ascending.
    counts : windows of each scale.
    halos : positions of padding, before and after, of the input and of every stage.
    """

    groups: tuple[Group, ...]
    seams: frozenset[int]
    pairs: tuple[_Family, ...]
    narrow: tuple[_Family, ...]
    loose: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    counts: tuple[int, ...]
    halos: list[tuple[int, int]]

    @staticmethod
    def of(network: Network, scales: Sequence[Scale]) -> _Work:
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
        seams = {phase for family in pairs for phase in family.phases}
        seams.update((starts % stride).tolist(), (stops % stride).tolist())
        found = tuple(groups(network, sorted(seams | {p for family in narrow for p in family.phases})))
        return _Work(
            groups=found,
            seams=frozenset(seams),
            pairs=pairs,
            narrow=narrow,
            loose=table[loose],
            starts=starts,
            stops=stops,
            counts=tuple(len(scale) for scale in scales),
            halos=_halos(network, found, [family.width for family in narrow]),
        )


def _families(table: NDArray[np.int64], stride: int) -> tuple[_Family, ...]:
    width = table[:, 3] - table[:, 2]
    families = []
    for value in np.unique(width).tolist():
        scale, window, start = table[width == value, :3].T
        families.append(_Family(value, frozenset((start % stride).tolist()), scale, window, start))
    return tuple(families)


class _Occlusion:
    """One set of baselines, all windows."""

    def __init__(self, network: Network, known: Activations, work: _Work, rows: int) -> None:
        self._network, self._known, self._work, self._rows = network, known, work, rows
        self._baselines = known.sums.shape[0]
        like, seams = known.sums, network.pixels + 1
        self._results = [like.new_zeros(self._baselines, count) for count in work.counts]
        self._columns = {
            family.width: like.new_empty(self._baselines, seams) for family in (*work.pairs, *work.narrow)
        }
        self._ends = [
            like.new_empty(self._baselines, len(ends), network.sums) for ends in (work.starts, work.stops)
        ]

    def run(self) -> list[Tensor]:
        """Per scale, (M, windows)."""
        for group in self._work.groups:
            stop = (self._network.pixels - group.phases[0]) // self._network.stride + 1
            self._seams(group, stop)
            self._narrow(group, stop)
        for family in (*self._work.pairs, *self._work.narrow):
            values = self._columns[family.width].index_select(1, self._index(family.start))
            self._give(values, family.scale, family.window)
        self._loose()
        return self._results

    def _seams(self, group: Group, stop: int) -> None:
        """Zones of both kinds of seam, and the windows between seams of one group."""
        if self._work.seams.isdisjoint(group.phases):
            return
        known, count = self._known, len(group.phases)
        zones = Zones(self._network, group, ("left", "right"))
        slots = zones.slots[-1]
        left_rows, right_rows = slice(0, count), slice(count, 2 * count)
        pairs = [family for family in self._work.pairs if not family.phases.isdisjoint(group.phases)]
        overlaps = {f.width: slots - f.width // self._network.stride for f in pairs}
        overlaps = {width: overlap for width, overlap in overlaps.items() if overlap > 0}
        parts = [Part(left_rows, range(slots)), Part(right_rows, range(slots))]
        for overlap in overlaps.values():
            parts += [Part(left_rows, range(slots - overlap, slots)), Part(right_rows, range(overlap))]
        shape = (self._baselines, stop, count, self._network.sums)
        left, right = known.sums.new_empty(shape), known.sums.new_empty(shape)
        middle = {width: known.sums.new_empty(shape) for width in overlaps}
        reach = max((width // self._network.stride for width in overlaps), default=0)
        for low, high in self._blocks(stop, 2 * count):
            beyond = min(high + reach, stop)
            zone = zones.zone(known, low, beyond)
            sums = zones.sums(known, zone, parts, low, beyond)
            left[:, low:high], right[:, low:high] = (values[:, : high - low] for values in sums[:2])
            for number, (width, overlap) in enumerate(overlaps.items()):
                shift = width // self._network.stride
                last = max(min(high, stop - shift), low)
                of_left, of_right = sums[2 + 2 * number : 4 + 2 * number]
                own = self._both(zones, zone, shift, overlap, low, last)
                own -= of_left[:, : last - low]
                own -= of_right[:, shift : last - low + shift]
                middle[width][:, low:last] = own
        for family in pairs:
            shift = family.width // self._network.stride
            for low, high in self._blocks(max(stop - shift, 0), count):
                total = left[:, low:high] + right[:, low + shift : high + shift]
                if family.width in middle:
                    total += middle[family.width][:, low:high]
                else:
                    first = torch.arange(low, high, device=total.device) + group.first[-1]
                    total += self._spectrum(first + slots, first + shift)[:, :, None]
                self._scatter(family.width, self._log_prob_change(total), group, low)
        self._keep(0, self._work.starts, left, group)
        self._keep(1, self._work.stops, right, group)

    def _both(self, zones: Zones, zone: Zone, shift: int, overlap: int, low: int, high: int) -> Tensor:
        """Sums over the positions that straddle two seams which lie ``shift`` strides apart.

        Such a position's mixed change is the left seam's plus the right one's minus the spectrum's:
        the mixing is a sum, and none of its terms straddles both seams.
        """
        known, count = self._known, zones.phases
        mixed = zone.mixed[:, : high - low, :count, shift:] - zones.whole(known, shift, overlap, low, high)
        mixed += zone.mixed[:, shift : high - low + shift, count:, :overlap]
        both = zones.from_mixed(known, mixed, shift, low, high)
        return zones.sums(known, both, [Part(slice(None), range(overlap))], low, high, shift)[0]

    def _narrow(self, group: Group, stop: int) -> None:
        """Zones of whole pieces, for windows that are narrower than their zones."""
        # Pieces whose zones are alike after the first stage are cheaper together.
        together: dict[tuple[int, ...], list[int]] = {}
        for family in self._work.narrow:
            if not family.phases.isdisjoint(group.phases):
                alike = zone_slots(self._network, group, (family.width,))[2:]
                together.setdefault(alike, []).append(family.width)
        for pieces in together.values():
            zones = Zones(self._network, group, pieces)
            parts = [Part(slice(None), range(zones.slots[-1]))]
            for low, high in self._blocks(stop, len(pieces) * zones.phases):
                zone = zones.zone(self._known, low, high)
                change = self._log_prob_change(zones.sums(self._known, zone, parts, low, high)[0])
                for width, own in zip(pieces, change.split(zones.phases, dim=2), strict=True):
                    self._scatter(width, own, group, low)

    def _loose(self) -> None:
        """Windows between any two seams, or between a seam and an end of the spectrum."""
        network, loose = self._network, self._work.loose
        if not len(loose):
            return
        reach, last = network.stages[-1].reach, network.stages[-1].positions
        slots = np.zeros(network.stride, dtype=np.int64)
        for group in self._work.groups:
            slots[list(group.phases)] = zone_slots(network, group, ("left",))[-1]
        first = np.array([reach.first(pixel) for pixel in range(network.pixels + 1)])
        begin = np.clip(first[loose[:, 2]] + slots[loose[:, 2] % network.stride], 0, last)
        end = np.clip(first[loose[:, 3]], 0, last)
        # Many windows have the same positions between their zones.
        between, inverse = np.unique(begin * (last + 1) + end, return_inverse=True)
        spectrum = self._spectrum(*(self._index(values) for values in np.divmod(between, last + 1)))
        starts = self._index(np.searchsorted(self._work.starts, loose[:, 2]))
        stops = self._index(np.searchsorted(self._work.stops, loose[:, 3]))
        of_window = self._index(inverse)
        values = spectrum.new_empty(self._baselines, len(loose))
        for low, high in self._blocks(len(loose), 1):
            total = self._ends[0].index_select(1, starts[low:high])
            total += self._ends[1].index_select(1, stops[low:high])
            total += spectrum.index_select(1, of_window[low:high])
            values[:, low:high] = self._log_prob_change(total)
        self._give(values, loose[:, 0], loose[:, 1])

    def _spectrum(self, begin: Tensor, end: Tensor) -> Tensor:
        """(M, n, K) sums where all is spectrum, over positions from ``begin`` to before ``end``."""
        total = self._known.total
        last = total.shape[1] - 1
        difference = total[:, end.clamp(0, last)] - total[:, begin.clamp(0, last)]
        return difference.to(self._known.sums.dtype)

    def _log_prob_change(self, sums: Tensor) -> Tensor:
        """(M, …, K) changes of the sums to (M, …) log p of the baseline minus log p of the pasted one."""
        shape = sums.shape[:-1]
        flat = sums.reshape(shape[0], -1, sums.shape[-1])
        pooled = self._network.pooling.pooled_change(flat, self._known.sums)
        return self._network.head.change(pooled, self._known.head_terms).neg_().reshape(shape)

    def _scatter(self, width: int, values: Tensor, group: Group, low: int) -> None:
        """Values (M, Q, phases) of windows to where they start."""
        stride = self._network.stride
        for place, phase in enumerate(group.phases):
            target = self._columns[width][:, phase + low * stride :: stride][:, : values.shape[1]]
            target.copy_(values[:, : target.shape[1], place])

    def _keep(self, side: int, seams: NDArray[np.int64], sums: Tensor, group: Group) -> None:
        """Keep the sums (M, Q, phases, K) of those of ``seams`` that belong to the group."""
        place = {phase: number for number, phase in enumerate(group.phases)}
        places = np.array([place.get(phase, -1) for phase in range(self._network.stride)])
        own = places[seams % self._network.stride]
        chosen = np.flatnonzero(own >= 0)
        rows = seams[chosen] // self._network.stride * len(group.phases) + own[chosen]
        kept = sums.flatten(1, 2).index_select(1, self._index(rows))
        self._ends[side].index_copy_(1, self._index(chosen), kept)

    def _give(self, values: Tensor, scale: NDArray[np.int64], window: NDArray[np.int64]) -> None:
        """Values (M, n) to the results of their scales and windows."""
        for number in np.unique(scale):
            chosen = np.flatnonzero(scale == number)
            self._results[number].index_copy_(
                1, self._index(window[chosen]), values.index_select(1, self._index(chosen))
            )

    def _blocks(self, stop: int, rows: int) -> Iterator[tuple[int, int]]:
        """Stretches of 0 to ``stop``, of so many rows per baseline each."""
        most = max(self._rows // (self._baselines * rows), 1)
        step = -(-stop // -(-stop // most)) if stop else 1
        for low in range(0, stop, step):
            yield low, min(low + step, stop)

    def _index(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._known.sums.device)


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
            for pieces in (("left",), *([width] for width in widths)):
                slots = zone_slots(network, group, pieces)
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


