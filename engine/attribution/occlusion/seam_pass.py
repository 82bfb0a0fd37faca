"""Pass over one set of baselines: the effects of all windows, from zones of seams and of narrow pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.occlusion.activations import Activations
from engine.attribution.occlusion.network import Network, Readout
from engine.attribution.occlusion.seam_work import SeamWork
from engine.attribution.occlusion.zones import Group, Zone, Zones
from models.local.additive_pooling import Part
from models.local.pixel_readout import Windows


class SeamPass:
    """One set of baselines, all windows."""

    def __init__(self, network: Network, known: Activations, work: SeamWork, rows: int) -> None:
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
        for zones in self._work.seams:
            self._seams(zones)
        for zones in self._work.pieces:
            self._narrow(zones)
        for family in (*self._work.pairs, *self._work.narrow):
            values = self._columns[family.width].index_select(1, self._index(family.start))
            self._give(values, family.scale, family.window)
        self._loose()
        return self._results

    def _seams(self, zones: Zones) -> None:
        """Zones of both kinds of seam, and the windows between seams of one group."""
        known, group, count, stop = self._known, zones.group, zones.phases, zones.stop
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
            phases = [phase for phase in group.phases if phase in family.phases]
            columns = [group.phases.index(phase) for phase in phases]
            for low, high in self._blocks(max(stop - shift, 0), len(columns)):
                total = left[:, low:high, columns] + right[:, low + shift : high + shift, columns]
                if family.width in middle:
                    total += middle[family.width][:, low:high, columns]
                else:
                    first = torch.arange(low, high, device=total.device) + group.first[-1]
                    total += self._spectrum(first + slots, first + shift)[:, :, None]
                start = self._starts(phases, low, high)
                change = self._score_change(total, start, start + family.width)
                self._scatter(family.width, change, phases, low)
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

    def _narrow(self, zones: Zones) -> None:
        """Zones of whole pieces, for windows that are narrower than their zones."""
        parts = [Part(slice(None), range(zones.slots[-1]))]
        for low, high in self._blocks(zones.stop, zones.rows):
            zone = zones.zone(self._known, low, high)
            start = self._starts(zones.group.phases, low, high)
            stops = [start + int(width) for width in zones.pieces]
            change = self._score_change(
                zones.sums(self._known, zone, parts, low, high)[0],
                torch.cat([start] * len(stops), dim=1),
                torch.cat(stops, dim=1),
            )
            for width, own in zip(zones.pieces, torch.split(change, zones.phases, dim=2), strict=True):
                self._scatter(int(width), own, zones.group.phases, low)

    def _loose(self) -> None:
        """Windows between any two seams, or between a seam and an end of the spectrum."""
        network, loose = self._network, self._work.loose
        if not len(loose):
            return
        reach, last = network.stages[-1].reach, network.stages[-1].positions
        slots = np.zeros(network.stride, dtype=np.int64)
        for zones in self._work.seams:
            slots[list(zones.group.phases)] = zones.slots[-1]
        first = np.array([reach.first(pixel) for pixel in range(network.pixels + 1)])
        begin = np.clip(first[loose[:, 2]] + slots[loose[:, 2] % network.stride], 0, last)
        end = np.clip(first[loose[:, 3]], 0, last)
        # At an end of the spectrum there is no seam.
        begin, end = np.where(loose[:, 2] == 0, 0, begin), np.where(loose[:, 3] == network.pixels, last, end)
        self._ends[0][:, self._index(np.flatnonzero(self._work.starts == 0))] = 0
        self._ends[1][:, self._index(np.flatnonzero(self._work.stops == network.pixels))] = 0
        # Many windows have the same positions between their zones.
        between, inverse = np.unique(begin * (last + 1) + end, return_inverse=True)
        spectrum = self._spectrum(*(self._index(values) for values in np.divmod(between, last + 1)))
        starts = self._index(np.searchsorted(self._work.starts, loose[:, 2]))
        stops = self._index(np.searchsorted(self._work.stops, loose[:, 3]))
        of_window = self._index(inverse)
        from_pixel, to_pixel = self._index(loose[:, 2]), self._index(loose[:, 3])
        values = spectrum.new_empty(self._baselines, len(loose))
        for low, high in self._blocks(len(loose), 1):
            total = self._ends[0].index_select(1, starts[low:high])
            total += self._ends[1].index_select(1, stops[low:high])
            total += spectrum.index_select(1, of_window[low:high])
            values[:, low:high] = self._score_change(total, from_pixel[low:high], to_pixel[low:high])
        self._give(values, loose[:, 0], loose[:, 1])

    def _spectrum(self, begin: Tensor, end: Tensor) -> Tensor:
        """(M, n, K) sums where all is spectrum, over positions from ``begin`` to before ``end``."""
        total = self._known.total
        last = total.shape[1] - 1
        difference = total[:, end.clamp(0, last)] - total[:, begin.clamp(0, last)]
        return difference.to(self._known.sums.dtype)

    def _starts(self, phases: Sequence[int], low: int, high: int) -> Tensor:
        """First pixels, (Q, phases), of windows at some phases from ``low`` to before ``high``."""
        device = self._known.sums.device
        strides = torch.arange(low, high, device=device) * self._network.stride
        return strides[:, None] + torch.tensor(phases, device=device)

    def _score_change(self, sums: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """(M, …, K) changes of the sums to (M, …) score of the pasted spectrum less that of the baseline.

        ``start`` and ``stop`` (…) are the windows' first pixels and those after their last.
        """
        shape = sums.shape[:-1]
        flat = sums.reshape(shape[0], -1, sums.shape[-1])
        pooled = self._network.pooling.pooled_change(flat, self._known.sums)
        outputs = self._network.head.change(pooled, self._known.head_terms)
        if self._network.readout is not None:
            outputs = self._readout_change(self._network.readout, outputs, start.flatten(), stop.flatten())
        return outputs.neg_().reshape(shape)

    def _readout_change(self, readout: Readout, outputs: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """Changes of the head's outputs (M, n, F) to those of minus the score (M, n)."""
        # Places beyond the end belong to windows that do not exist.
        start, stop = (end.clamp(max=self._network.pixels) for end in (start, stop))
        windows = Windows(self._known.tables, start, stop)
        return readout.rule.change(outputs, windows, self._known.readout_terms)

    def _scatter(self, width: int, values: Tensor, phases: Sequence[int], low: int) -> None:
        """Values (M, Q, phases) of windows to where they start."""
        stride = self._network.stride
        for place, phase in enumerate(phases):
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
        """Intervals of 0 to ``stop``, of so many rows per baseline each."""
        most = max(self._rows // (self._baselines * rows), 1)
        step = -(-stop // -(-stop // most)) if stop else 1
        for low in range(0, stop, step):
            yield low, min(low + step, stop)

    def _index(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._known.sums.device)
