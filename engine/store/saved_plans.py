"""Saved plans: which spectra fill which rows, fixed before any work starts.

A saved plan never changes. A run that was killed finds it and continues with the same blocks. A later run
learns from it which version of which file is in the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

from engine.spectra.source_file import RefusedFile, SourceFile
from engine.store.blocks import AttributionBlock, ScoreBlock, SourceSlice
from models.digests import canonical_json, digest_of

_FILE_FIELDS = tuple(field.name for field in fields(SourceFile))
"""All of them plain values: :func:`dataclasses.asdict` takes ten times as long, 1.2 s for DESI DR1."""

_RARE_FIELDS = tuple(field.name for field in fields(SourceFile) if field.default is not MISSING)
"""Those that few files have; they are left out where they say nothing."""

_Plan = TypeVar("_Plan", "ScorePlan", "AttributionPlan")


def in_order(plans: Iterable[_Plan]) -> tuple[_Plan, ...]:
    """Plans of one kind in the order in which they were made, which is that of their blocks; each once."""
    each_once = {plan.digest: plan for plan in plans}.values()
    return tuple(sorted(each_once, key=lambda plan: plan.order))


@dataclass(frozen=True)
class ScorePlan:
    """Files whose spectra fill consecutive score blocks, one after the other without gaps.

    Attributes
    ----------
    root, layout : the release as it was listed.
    first_block : index of the first block; capacity : spectra per block.
    files : the files in the order of their rows.
    refused : files that the listing refused when the plan was made.
    number : how many plans the store had before; orders the versions of a file.
    """

    root: str
    layout: str
    first_block: int
    capacity: int
    files: tuple[SourceFile, ...]
    refused: tuple[RefusedFile, ...]
    number: int = 0

    @property
    def order(self) -> tuple[int, int]:
        """Place among the plans of a store."""
        return self.number, self.first_block

    @property
    def spectra(self) -> int:
        """Number of spectra in all files."""
        return sum(file.spectra for file in self.files)

    @property
    def stop_block(self) -> int:
        """Index after the last block."""
        return self.first_block + -(-self.spectra // self.capacity)

    @property
    def block_indices(self) -> range:
        """Indices of the blocks."""
        return range(self.first_block, self.stop_block)

    @cached_property
    def first_rows(self) -> tuple[int, ...]:
        """Store row of the first spectrum of every file."""
        rows, row = [], self.first_block * self.capacity
        for file in self.files:
            rows.append(row)
            row += file.spectra
        return tuple(rows)

    @cached_property
    def digest(self) -> str:
        """Hex digest of the plan's content: its name in the ledger."""
        return digest_of(canonical_json(self.to_dict()))

    @cached_property
    def blocks(self) -> tuple[ScoreBlock, ...]:
        """The plan's blocks, ascending."""
        slices: dict[int, list[SourceSlice]] = {}
        for file, first in zip(self.files, self.first_rows, strict=True):
            row, last = first, first + file.spectra
            while row < last:
                block = row // self.capacity
                stop = min(last, (block + 1) * self.capacity)
                slices.setdefault(block, []).append(SourceSlice(file, row - first, stop - first))
                row = stop
        return tuple(
            ScoreBlock(block, self.capacity, self.digest, tuple(slices[block])) for block in sorted(slices)
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, in which the ledger keeps the plan."""
        return {
            "kind": "score-plan",
            "number": self.number,
            "root": self.root,
            "layout": self.layout,
            "first_block": self.first_block,
            "capacity": self.capacity,
            "files": [_described(file) for file in self.files],
            "refused": [asdict(file) for file in self.refused],
        }


def _described(file: SourceFile) -> dict[str, Any]:
    values = ((name, getattr(file, name)) for name in _FILE_FIELDS)
    return {name: value for name, value in values if value or name not in _RARE_FIELDS}


@dataclass(frozen=True)
class AttributionPlan:
    """Store rows, ascending, whose explanations fill consecutive attribution blocks.

    ``selection`` says how somebody chose the rows, for people; empty for all that had none.
    """

    first_block: int
    capacity: int
    rows: tuple[int, ...]
    selection: str = ""

    @property
    def order(self) -> tuple[int, int]:
        """Place among the plans of a store."""
        return 0, self.first_block

    @property
    def stop_block(self) -> int:
        """Index after the last block."""
        return self.first_block + -(-len(self.rows) // self.capacity)

    @property
    def block_indices(self) -> range:
        """Indices of the blocks."""
        return range(self.first_block, self.stop_block)

    @cached_property
    def digest(self) -> str:
        """Hex digest of what is explained where: part of its name in the ledger."""
        return digest_of(canonical_json(self._described()))

    @cached_property
    def blocks(self) -> tuple[AttributionBlock, ...]:
        """The plan's blocks, ascending."""
        parts = range(0, len(self.rows), self.capacity)
        return tuple(
            AttributionBlock(
                self.first_block + number,
                self.capacity,
                self.digest,
                self.rows[start : start + self.capacity],
            )
            for number, start in enumerate(parts)
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, in which the ledger keeps the plan."""
        return self._described() | ({"selection": self.selection} if self.selection else {})

    def _described(self) -> dict[str, Any]:
        return {
            "kind": "attribution-plan",
            "first_block": self.first_block,
            "capacity": self.capacity,
            "rows": list(self.rows),
        }
