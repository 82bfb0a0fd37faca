"""Zones: the few positions of every stage around a seam or a narrow piece, for many seams at once.

Seams p whose zones begin at the same positions, but for whole multiples of the network's stride T, form
a *group*: p = T q + r for all q and the group's few phases r. A zone of a group is then a regular
strided view of the whole arrays, and every mixing layer on it a handful of matrix products over all
(baseline, q, piece, phase) at once, with no zeros multiplied and nothing gathered.

Three kinds of piece, all as the change x-hat - b of every activation:

- ``left`` : the spectrum for all pixels from p on, the baseline before;
- ``right`` : the spectrum for all pixels before p, the baseline from p on;
- a width W : the spectrum for pixels p to p + W, the baseline elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from engine.attribution.occlusion.activations import Activations
from engine.attribution.occlusion.mixing import Maximum, Mixing, Sum
from engine.attribution.occlusion.network import Network
from models.local.additive_pooling import Part
from models.local.differences import map_terms

Piece = Literal["left", "right"] | int


@dataclass(frozen=True)
class Group:
    """Phases whose zones begin alike.

    Attributes
    ----------
    phases : remainders r of the seams modulo the network's stride, ascending.
    first : first position of the zone at q = 0, for the input and for every stage.
    """

    phases: tuple[int, ...]
    first: tuple[int, ...]

    def only(self, phases: frozenset[int]) -> Group:
        """The same with those of its phases that are among ``phases``."""
        return Group(tuple(phase for phase in self.phases if phase in phases), self.first)


def groups(network: Network, phases: Sequence[int]) -> list[Group]:
    """The groups that hold ``phases``."""
    # A layer that is no sum is fed position by position, so the input's zone must begin alike too.
    by_pixel = not isinstance(network.stages[0].mixing, Sum)
    found: dict[tuple[int, ...], list[int]] = {}
    for phase in sorted(set(phases)):
        first = (phase if by_pixel else 0, *(stage.reach.first(phase) for stage in network.stages))
        found.setdefault(first, []).append(phase)
    return [Group(tuple(members), first) for first, members in found.items()]


def zone_slots(network: Network, group: Group, pieces: Sequence[Piece]) -> tuple[int, ...]:
    """Positions that hold the zones of all ``pieces``, at the input and after every stage."""
    width = max(piece if isinstance(piece, int) else 0 for piece in pieces)
    slots = [width]
    for number, stage in enumerate(network.stages, start=1):
        last = max(stage.reach.last(phase + width - 1) for phase in group.phases)
        slots.append(max(last - group.first[number] + 1, 0))
    return tuple(slots)


@dataclass(frozen=True, eq=False)
class Zone:
    """Changes on the zones of several pieces at the last stage; rows are (piece, phase).

    Attributes
    ----------
    mixed : (M, Q, rows, slots, C) after the mixing layer.
    hidden : (M, Q, rows, slots, C') after the pointwise layers, which is what is pooled.
    """

    mixed: Tensor
    hidden: Tensor


@dataclass(frozen=True)
class _Slot:
    """One position of a zone after a later sum: which taps are in the zone before, which beside it.

    Attributes
    ----------
    start : the position at q = 0.
    first, stop : taps inside the zone; begin : the place in the zone that tap 0 would have.
    """

    start: int
    first: int
    stop: int
    begin: int


class Zones:
    """The zones of one group's pieces, from the activations of any set of baselines.

    ``pieces`` are either seams (``left``, ``right``) or widths, not both.
    """

    def __init__(self, network: Network, group: Group, pieces: Sequence[Piece]) -> None:
        self._network, self.group, self.pieces = network, group, tuple(pieces)
        self.slots = zone_slots(network, group, pieces)
        self._steps = [network.stride // stage.reach.stride for stage in network.stages]
        self._narrow = isinstance(self.pieces[0], int)
        first = network.stages[0].mixing
        self._taps = self._pixel_taps(first) if isinstance(first, Sum) else None
        self._inner = [
            [
                _inner_slot(stage.mixing, group, number, slot, self.slots)
                for slot in range(self.slots[number + 1])
            ]
            for number, stage in enumerate(network.stages)
        ]

    @property
    def phases(self) -> int:
        """Number of phases of the group; each piece has so many rows."""
        return len(self.group.phases)

    @property
    def rows(self) -> int:
        """Number of (piece, phase)."""
        return len(self.pieces) * self.phases

    @property
    def stop(self) -> int:
        """Seams T q + r lie within the spectrum, its end included, for q below this."""
        return (self._network.pixels - self.group.phases[0]) // self._network.stride + 1

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of matrix products for one row at one q, the pooling's included."""
        total = self.slots[-1] * self._network.pooling.multiply_adds
        for number, stage in enumerate(self._network.stages):
            total += self.slots[number + 1] * stage.pointwise.multiply_adds
            if number and isinstance(stage.mixing, Sum):
                taps = sum(max(slot.stop - slot.first, 0) for slot in self._inner[number])
                total += taps * stage.mixing.weight[0].numel()
        return total

    @property
    def numbers(self) -> int:
        """At most so many numbers are held at once for one row at one q."""
        held = [0]
        before = 0
        for number, stage in enumerate(self._network.stages):
            width = max(stage.mixed, stage.channels)
            spans = stage.mixing.kernel * width if isinstance(stage.mixing, Maximum) else 0
            held.append(before + self.slots[number + 1] * (4 * width + spans))
            before = self.slots[number + 1] * stage.channels
        last = self._network.stages[-1]
        terms = self._network.pooling_numbers
        held.append(self.slots[-1] * (last.mixed + last.channels + 3 * terms))
        return max(held) + 4 * self._network.sums

    def zone(self, known: Activations, low: int, high: int) -> Zone:
        """The zones at seams T q + r, low <= q < high."""
        change: Tensor | None = None
        for number, stage in enumerate(self._network.stages):
            if isinstance(stage.mixing, Maximum):
                mixed = self._maximum(known, number, stage.mixing, change, low, high)
            elif change is None:
                mixed = self._from_pixels(known, low, high)
            elif isinstance(stage.mixing, Sum):
                mixed = self._from_zone(known, number, stage.mixing, change, low, high)
            change = self._pointwise(known, number, mixed, 0, low, high)
        if change is None:
            raise TypeError("a network has at least one stage")
        return Zone(mixed, change)

    def from_mixed(self, known: Activations, mixed: Tensor, offset: int, low: int, high: int) -> Zone:
        """A zone at the last stage of which the mixed change is known, from slot ``offset`` on."""
        return Zone(mixed, self._pointwise(known, len(self._steps) - 1, mixed, offset, low, high))

    def whole(self, known: Activations, offset: int, slots: int, low: int, high: int) -> Tensor:
        """The spectrum's change after the last mixing layer, a view (M, Q, 1, slots, C)."""
        arrays = known.stages[-1]
        start = self.group.first[-1] + offset + arrays.halo
        return _strided(arrays.mixed_change, start, 1, slots, low, high)

    def sums(
        self, known: Activations, zone: Zone, parts: Sequence[Part], low: int, high: int, offset: int = 0
    ) -> list[Tensor]:
        """Changes of the pooling's sums, (M, Q, rows, K) for the rows and slots of each of ``parts``.

        ``offset`` is the slot of the group's zone at which ``zone`` begins.
        """
        hidden = zone.hidden
        start = self.group.first[-1] + offset + known.stages[-1].halo
        slots = hidden.shape[3]
        terms = map_terms(lambda term: _strided(term, start, 1, slots, low, high), known.pooling_terms)
        sums = [
            hidden.new_empty(
                *hidden.shape[:2], len(range(*part.rows.indices(hidden.shape[2]))), self._network.sums
            )
            for part in parts
        ]
        self._network.pooling.change(hidden, terms, parts, sums)
        return sums

    def _pointwise(
        self, known: Activations, number: int, mixed: Tensor, offset: int, low: int, high: int
    ) -> Tensor:
        """The pointwise layers of a stage; what lies beyond the ends of the spectrum becomes zero."""
        stage, arrays, step = self._network.stages[number], known.stages[number], self._steps[number]
        first, slots = self.group.first[number + 1] + offset, mixed.shape[3]
        start = first + arrays.halo
        terms = map_terms(lambda term: _strided(term, start, step, slots, low, high), arrays.terms)
        change = stage.pointwise.change(mixed, terms)
        if first + low * step >= 0 and first + slots - 1 + (high - 1) * step < stage.positions:
            return change
        for slot in range(slots):
            begin = min(max(_ceil(-first - slot, step), low), high)
            end = min(max((stage.positions - 1 - first - slot) // step + 1, begin), high)
            change[:, : begin - low, :, slot].zero_()
            change[:, end - low :, :, slot].zero_()
        return change

    def _pixel_taps(self, mixing: Sum) -> Tensor:
        """(2, rows * slots): where the running sums over taps begin and end, see :meth:`_from_pixels`."""
        group = self.group
        entries = mixing.kernel + 1
        rows: list[list[int]] = [[], []]
        for piece in self.pieces:
            for phase in group.phases:
                for slot in range(self.slots[1]):
                    tap = _tap(mixing, group.first[1] + slot, phase)
                    begin, end = tap, mixing.kernel
                    if piece == "right":
                        begin, end = 0, tap
                    elif isinstance(piece, int):
                        end = _tap(mixing, group.first[1] + slot, phase + piece)
                    rows[0].append(slot * entries + begin)
                    rows[1].append(slot * entries + end)
        return torch.tensor(rows, device=mixing.weight.device)

    def _from_pixels(self, known: Activations, low: int, high: int) -> Tensor:
        """The first mixing layer, a sum: taps are pixels on one side of the seam or the other.

        All that can occur are running sums over the last taps, of which two are subtracted.
        """
        arrays, step, slots = known.stages[0], self._steps[0], self.slots[1]
        if arrays.suffix is None or self._taps is None:
            raise TypeError("sums only")
        baselines, _, entries, channels = arrays.suffix.shape
        shape = (baselines, high - low, self.rows, slots, channels)
        if slots == 0:
            return arrays.mixed_change.new_zeros(shape)
        stride = arrays.suffix.stride()
        span = arrays.suffix.as_strided(
            (baselines, high - low, slots * entries, channels),
            (stride[0], step * stride[1], stride[2], 1),
            (self.group.first[1] + arrays.halo + low * step) * stride[1],
        )
        begin, end = self._taps
        mixed = span.index_select(2, begin)
        mixed -= span.index_select(2, end)
        return mixed.view(shape)

    def _from_zone(
        self, known: Activations, number: int, mixing: Sum, change: Tensor, low: int, high: int
    ) -> Tensor:
        """A later sum: taps inside the zone by matrix products, those beside it from running sums."""
        arrays, step = known.stages[number], self._steps[number]
        if arrays.suffix is None:
            raise TypeError("sums only")
        weights = mixing.weight_in(change.dtype)
        outputs = self.slots[number + 1]
        mixed = change.new_empty(*change.shape[:3], outputs, weights.shape[-1])
        count, channels = change.shape[:3].numel(), change.shape[-1]
        rows = change.reshape(count, change.shape[3] * channels)
        by_slot = mixed.view(count, outputs, weights.shape[-1])
        for place, slot in enumerate(self._inner[number]):
            target = by_slot[:, place]
            filled = not self._narrow
            if filled:
                self._beside(mixed[:, :, :, place], arrays.suffix, slot, arrays.halo, step, low, high)
            for first, stop in _runs(slot, mixing.dilation):
                column = (slot.begin + first * mixing.dilation) * channels
                columns = rows[:, column : column + (stop - first) * channels]
                matrix = weights[first:stop].reshape(-1, weights.shape[-1])
                if filled:
                    target.addmm_(columns, matrix)
                else:
                    torch.mm(columns, matrix, out=target)
                filled = True
            if not filled:
                target.zero_()
        return mixed

    def _beside(
        self, mixed: Tensor, suffix: Tensor, slot: _Slot, halo: int, step: int, low: int, high: int
    ) -> None:
        """Taps beside the zone, where all is spectrum: after it for ``left``, before it for ``right``."""
        line = _strided(suffix.flatten(2), slot.start + halo, step, 1, low, high)[:, :, :, 0]
        line = torch.unflatten(line, -1, (suffix.shape[2], -1))
        for number, piece in enumerate(self.pieces):
            rows = mixed[:, :, number * self.phases : (number + 1) * self.phases]
            if piece == "left":
                rows.copy_(line[..., slot.stop, :])
            elif slot.first == 0:
                rows.zero_()
            else:
                rows.copy_(line[..., 0, :] - line[..., slot.first, :])

    def _maximum(
        self, known: Activations, number: int, mixing: Maximum, change: Tensor | None, low: int, high: int
    ) -> Tensor:
        """A layer that is no sum needs all its taps' values: the zone's, and those beside it."""
        arrays, step, first = known.stages[number], self._steps[number], self.group.first[number + 1]
        if arrays.base is None or arrays.change is None or arrays.mixed_base is None:
            raise TypeError("not for sums")
        outputs, rows = self.slots[number + 1], self.rows
        begin = first * mixing.stride - mixing.padding
        span = max((outputs - 1) * mixing.stride + mixing.dilation * (mixing.kernel - 1) + 1, 0)
        offset = self.group.first[number] - begin

        def around(of: Tensor) -> Tensor:
            return _strided(of, begin + arrays.input_halo, step * mixing.stride, span, low, high)

        moved = around(arrays.change)
        taps = around(arrays.base).expand(-1, -1, rows, -1, -1).clone()
        for place, piece in enumerate(self.pieces):
            own = taps[:, :, place * self.phases : (place + 1) * self.phases]
            # Without a change of its own (at the input) the zone is the piece itself.
            inside = self.slots[number] if change is not None else (piece if isinstance(piece, int) else 0)
            start, stop = max(offset, 0), min(max(offset + inside, 0), span)
            if piece == "left":
                own[:, :, :, stop:] += moved[:, :, :, stop:]
            elif piece == "right":
                own[:, :, :, :start] += moved[:, :, :, :start]
            if start < stop and change is None:
                own[:, :, :, start:stop] += moved[:, :, :, start:stop]
            elif start < stop and change is not None:
                from_zone = change[:, :, place * self.phases : (place + 1) * self.phases]
                own[:, :, :, start:stop] += from_zone[:, :, :, start - offset : stop - offset]
        base = _strided(arrays.mixed_base, first + arrays.halo, step, outputs, low, high)
        return (mixing.across(taps, outputs) - base).to(arrays.mixed_change.dtype)


def _inner_slot(mixing: Mixing, group: Group, number: int, slot: int, slots: tuple[int, ...]) -> _Slot:
    start = group.first[number + 1] + slot
    begin = start * mixing.stride - mixing.padding - group.first[number]
    return _Slot(
        start,
        _clip(_ceil(-begin, mixing.dilation), mixing.kernel),
        _clip(_ceil(slots[number] - begin, mixing.dilation), mixing.kernel),
        begin,
    )


def _runs(slot: _Slot, dilation: int) -> list[tuple[int, int]]:
    """The taps inside the zone as runs that are neighbours there."""
    if dilation == 1:
        return [(slot.first, slot.stop)] if slot.first < slot.stop else []
    return [(tap, tap + 1) for tap in range(slot.first, slot.stop)]


def _tap(mixing: Mixing, position: int, pixel: int) -> int:
    """The first tap of ``position`` that looks at ``pixel`` or later."""
    return _clip(_ceil(pixel - position * mixing.stride + mixing.padding, mixing.dilation), mixing.kernel)


def _strided(of: Tensor, start: int, step: int, slots: int, low: int, high: int) -> Tensor:
    """(M, P, C) to a view (M, Q, 1, slots, C): positions start + q step + slot for low <= q < high."""
    baselines, _, channels = of.shape
    row, position, channel = of.stride()
    return of.as_strided(
        (baselines, high - low, 1, slots, channels),
        (row, step * position, 0, position, channel),
        of.storage_offset() + (start + low * step) * position,
    )


def _ceil(value: int, by: int) -> int:
    return -(-value // by)


def _clip(value: int, most: int) -> int:
    return min(max(value, 0), most)
