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
from itertools import pairwise

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

_ROWS = 4096
"""Windows whose pooled features are turned into scores at once: few enough to stay in a cache."""


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
                    results, _Occlusion(network, known, work).run(), strict=True
                ):
                    scale[low : low + chunk] = result
            return results


@dataclass(frozen=True, eq=False)
class _Family:
    """Windows of one width that are narrower than a zone, with both ends inside the spectrum.

    Attributes
    ----------
    width : in pixels; shared : whether all stages but the last are free of positions that straddle
        both ends, so that the seams' zones serve up to there.
    phases : remainders of the starts modulo the network's stride.
    scale, window, start : (n,) for each window, which scale, which of its windows, where it starts.
    """

    width: int
    shared: bool
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
    left, right : phases at which a wide window starts, or ends.
    families : narrow windows by width.
    wide : (n, 4) scale, window, start, stop of the others.
    counts : windows of each scale.
    halos : positions of padding, before and after, of the input and of every stage.
    """

    groups: tuple[Group, ...]
    left: frozenset[int]
    right: frozenset[int]
    families: tuple[_Family, ...]
    wide: NDArray[np.int64]
    counts: tuple[int, ...]
    halos: list[tuple[int, int]]

    @staticmethod
    def of(network: Network, scales: Sequence[Scale]) -> _Work:
        stride, pixels = network.stride, network.pixels
        table = np.concatenate(
            [
                np.stack((np.full(len(s), n), np.arange(len(s)), s.start, s.stop), axis=1)
                for n, s in enumerate(scales)
            ]
        ).astype(np.int64)
        width = table[:, 3] - table[:, 2]
        # A position straddles both ends only if it sees more than the window.
        one_seam = (table[:, 2] == 0) | (table[:, 3] == pixels)
        is_wide = one_seam | (width >= network.stages[-1].reach.field - 1)
        wide = table[is_wide]
        left, right = set((wide[:, 2] % stride).tolist()), set((wide[:, 3] % stride).tolist())
        before_last = network.stages[-2].reach.field if len(network.stages) > 1 else 1
        families = []
        for narrow in np.unique(width[~is_wide]).tolist():
            own = table[~is_wide & (width == narrow)]
            phases = sorted(set((own[:, 2] % stride).tolist()))
            shared = (
                narrow % stride == 0
                and narrow >= before_last - 1
                and isinstance(network.stages[-1].mixing, Sum)
            )
            if shared:
                left.update(phases)
                right.update(phases)
            families.append(
                _Family(narrow, shared, frozenset(phases), own[:, 0], own[:, 1], own[:, 2])
            )
        needed = left | right | {phase for family in families for phase in family.phases}
        found = tuple(groups(network, sorted(needed)))
        return _Work(
            found,
            frozenset(left),
            frozenset(right),
            tuple(families),
            wide,
            tuple(len(scale) for scale in scales),
            _halos(network, found, [family.width for family in families if not family.shared]),
        )


class _Occlusion:
    """One set of baselines, all windows."""

    def __init__(self, network: Network, known: Activations, work: _Work) -> None:
        self._network, self._known, self._work = network, known, work
        self._baselines = known.sums.shape[0]
        self._results = [known.sums.new_zeros(self._baselines, count) for count in work.counts]

    def run(self) -> list[Tensor]:
        """Per scale, (M, windows)."""
        network, work, like = self._network, self._work, self._known.sums
        seams = network.pixels + 1
        ends = like.new_empty(2, self._baselines, seams, network.sums) if len(work.wide) else None
        columns = {family.width: like.new_empty(self._baselines, seams) for family in work.families}
        for group in work.groups:
            stop = (network.pixels - group.phases[0]) // network.stride + 1
            self._seams(group, stop, ends, columns)
            self._narrow(group, stop, columns)
        for family in work.families:
            values = columns[family.width].index_select(1, self._index(family.start))
            for number in np.unique(family.scale):
                chosen = np.flatnonzero(family.scale == number)
                self._results[number].index_copy_(
                    1, self._index(family.window[chosen]), values.index_select(1, self._index(chosen))
                )
        if ends is not None:
            self._wide(ends[0], ends[1])
        return self._results

    def _seams(self, group: Group, stop: int, ends: Tensor | None, columns: dict[int, Tensor]) -> None:
        """Zones of the seams, for wide windows and those whose two zones touch in the last stage only."""
        work, phases = self._work, group.phases
        shared = [f for f in work.families if f.shared and not f.phases.isdisjoint(phases)]
        wanted = not (work.left | work.right).isdisjoint(phases)
        if not shared and not wanted:
            return
        zones, shifts = Zones(self._network, group, ("left", "right")), []
        slots, count = zones.slots[-1], len(phases)
        shifts = [family.width // self._network.stride for family in shared]
        # Where the two zones of a window overlap, their sums are wanted apart.
        cuts = sorted({min(shift, slots) for shift in shifts} | {0, slots})
        pieces = [range(begin, end) for begin, end in pairwise(cuts)]
        parts = [Part(slice(0, count), piece) for piece in pieces]
        parts += [Part(slice(count, 2 * count), range(slots - p.stop, slots - p.start)) for p in pieces]
        for low, high in self._blocks(stop, 2 * count):
            beyond = min(high + max(shifts, default=0), stop)
            zone = zones.zone(self._known, low, beyond)
            sums = zones.sums(self._known, zone, parts, low, beyond)
            left, right = sums[: len(pieces)], sums[len(pieces) :]
            if ends is not None:
                self._scatter(ends[0], _total(left, zone.hidden), group, low)
                self._scatter(ends[1], _total(right, zone.hidden), group, low)
            for family, shift in zip(shared, shifts, strict=True):
                last = min(high, beyond - shift)
                if last > low:
                    used = [number for number, piece in enumerate(pieces) if piece.stop <= shift]
                    apart = _total([left[number] for number in used], zone.hidden)[:, : last - low]
                    apart = apart + _total([right[number] for number in used], zone.hidden)[:, shift : last - low + shift]
                    apart += self._between(zones, group, zone, shift, low, last)
                    self._scatter(columns[family.width], self._log_prob_change(apart), group, low)

    def _between(
        self, zones: Zones, group: Group, zone: Zone, shift: int, low: int, high: int
    ) -> Tensor:
        """Sums over what lies between two seams ``shift`` strides apart, beside their own positions.

        That is either spectrum alone, or positions that straddle both seams. Such a position's mixed
        change is the left seam's plus the right one's minus the spectrum's, since the mixing is a sum
        of terms that straddle one seam at most.
        """
        known, count = self._known, zones.phases
        slots = zones.slots[-1]
        if slots <= shift:
            q = torch.arange(low, high, device=known.total.device) + group.first[-1]
            last = known.total.shape[1] - 1
            total = known.total[:, (q + shift).clamp(0, last)] - known.total[:, (q + slots).clamp(0, last)]
            return total.to(zone.mixed.dtype)[:, :, None]
        overlap = slots - shift
        mixed = zone.mixed[:, : high - low, :count, shift:] - zones.whole(known, shift, overlap, low, high)
        mixed += zone.mixed[:, shift : high - low + shift, count:, :overlap]
        both = zones.from_mixed(known, mixed, shift, low, high)
        return zones.sums(known, both, [Part(slice(None), range(overlap))], low, high, shift)[0]

    def _narrow(self, group: Group, stop: int, columns: dict[int, Tensor]) -> None:
        """Zones of whole pieces, for windows that are narrower than their zones."""
        widths = [f.width for f in self._work.families if not f.shared and not f.phases.isdisjoint(group.phases)]
        together: dict[int, list[int]] = {}
        for width in widths:
            together.setdefault(zone_slots(self._network, group, (width,))[-1], []).append(width)
        for pieces in together.values():
            zones = Zones(self._network, group, pieces)
            rows = len(pieces) * zones.phases
            for low, high in self._blocks(stop, rows):
                zone = zones.zone(self._known, low, high)
                parts = [Part(slice(None), range(zones.slots[-1]))]
                change = self._log_prob_change(zones.sums(self._known, zone, parts, low, high)[0])
                for number, width in enumerate(pieces):
                    own = change[:, :, number * zones.phases : (number + 1) * zones.phases]
                    self._scatter(columns[width], own, group, low)

    def _blocks(self, stop: int, rows: int) -> Iterator[tuple[int, int]]:
        """Stretches of q from 0 to ``stop`` for so many rows each."""
        import os

        most = max(int(os.environ.get("ROWS", "2000")) // (self._baselines * rows), 1)
        step = -(-stop // -(-stop // most))
        for low in range(0, stop, step):
            yield low, min(low + step, stop)

    def _index(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._known.sums.device)

    def _wide(self, left: Tensor, right: Tensor) -> None:
        network, known, wide = self._network, self._known, self._work.wide
        reach, count = network.stages[-1].reach, network.stages[-1].positions
        slots = np.zeros(network.stride, dtype=np.int64)
        for group in self._work.groups:
            slots[list(group.phases)] = zone_slots(network, group, ("left",))[-1]
        first = np.array([reach.first(pixel) for pixel in range(network.pixels + 1)])
        begin = np.clip(first[wide[:, 2]] + slots[wide[:, 2] % network.stride], 0, count)
        end = np.clip(first[wide[:, 3]], 0, count)
        between, inverse = np.unique(begin * (count + 1) + end, return_inverse=True)
        from_, to = (self._index(values) for values in np.divmod(between, count + 1))
        inside = (known.total[:, to] - known.total[:, from_]).to(left.dtype)
        starts, stops, inside_of = (self._index(values) for values in (wide[:, 2], wide[:, 3], inverse))
        values = left.new_empty(self._baselines, len(wide))
        step = max(_ROWS // self._baselines, 1)
        for low in range(0, len(wide), step):
            rows = slice(low, low + step)
            sums = left.index_select(1, starts[rows])
            sums += right.index_select(1, stops[rows])
            sums += inside.index_select(1, inside_of[rows])
            values[:, rows] = self._log_prob_change(sums)
        for number in np.unique(wide[:, 0]):
            chosen = np.flatnonzero(wide[:, 0] == number)
            self._results[number].index_copy_(
                1, self._index(wide[chosen, 1]), values.index_select(1, self._index(chosen))
            )

    def _log_prob_change(self, sums: Tensor) -> Tensor:
        """(M, …, K) changes of the sums to (M, …) log p of the baseline minus log p of the pasted one."""
        shape = sums.shape[:-1]
        flat = sums.reshape(shape[0], -1, sums.shape[-1])
        pooled = self._network.pooling.pooled_change(flat, self._known.sums)
        return self._network.head.change(pooled, self._known.head_terms).neg_().reshape(shape)

    def _scatter(self, into: Tensor, values: Tensor, group: Group, low: int) -> None:
        """Values (M, Q, phases, ...) to their seams in (M, N + 1, ...)."""
        stride = self._network.stride
        for place, phase in enumerate(group.phases):
            target = into[:, phase + low * stride :: stride][:, : values.shape[1]]
            target.copy_(values[:, : target.shape[1], place])


def _total(sums: Sequence[Tensor], like: Tensor) -> Tensor:
    """All of ``sums`` added up; nothing at all is a zero."""
    if not sums:
        return like.new_zeros(1, 1, 1, 1)
    result = sums[0]
    for values in sums[1:]:
        result = result + values
    return result


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


