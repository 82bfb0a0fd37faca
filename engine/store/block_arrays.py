"""Block arrays: the arrays below a tree of objects, for who writes whole blocks of them.

One block is one object of every array of its kind. Objects are encoded in memory and put whole. So nothing
half-written is ever visible, and writing a block twice gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.explanation import Explanations
from engine.store.blocks import AttributionBlock, BlockKind, ScoreBlock, WrittenObject
from engine.store.configuration import RunConfiguration
from engine.store.hierarchy import array_document, encode_block
from engine.store.objects import ObjectTree
from engine.store.schema import EXPLANATIONS, ArraySpec, arrays_of
from engine.store.stored_arrays import open_array, stored_length
from models.errors import BugError, ErrorKind


class BlockArrays:
    """The arrays of a store, or of a set of explanations in it. Only the coordinator grows them."""

    def __init__(self, objects: ObjectTree, configuration: RunConfiguration) -> None:
        self._objects = objects
        self._configuration = configuration
        self._blocks: dict[BlockKind, int] = {}

    def grow(self, blocks: Mapping[BlockKind, int]) -> None:
        """Give the arrays of these kinds room for at least so many blocks. Never shrinks.

        Before any writer starts: a resize during a write loses data.
        """
        longer = []
        for kind, wanted in blocks.items():
            for spec in arrays_of(kind):
                length = wanted * spec.shard_shape(self._configuration)[0]
                if stored_length(self._objects, self._configuration, spec.path) < length:
                    document = array_document(spec, self._configuration, length)
                    longer.append((f"{spec.path}/zarr.json", document))
        self._objects.put_all(longer)
        for kind, wanted in blocks.items():
            self._blocks[kind] = max(self._blocks.get(kind, 0), wanted)

    def write_explanations(
        self, block: AttributionBlock, explanations: Explanations
    ) -> tuple[WrittenObject, ...]:
        """Write an attribution block: one object per array of ``outliers/``, sorted by path.

        Raises
        ------
        BugError : the block is not one of these arrays, or the explanations are not the block's.
        """
        self.check(block, len(explanations))
        if tuple(explanations.row.tolist()) != block.rows:
            raise BugError(
                "The explanations are not those of the block's rows.",
                where=f"attribution block {block.index}",
                got=explanations.row.tolist()[:8],
                allowed=list(block.rows[:8]),
                kind=ErrorKind.OTHER_ROWS,
            )
        values = {spec.path: getattr(explanations, name) for name, spec in EXPLANATIONS.items()}
        return self.write("attribution", block.index, values)

    def check(self, block: ScoreBlock | AttributionBlock, count: int) -> None:
        """Refuse a block of another size, or for which there is no room, or whose rows are not so many.

        Raises
        ------
        BugError : it is such a block.
        """
        capacity = self._configuration.rows_per_block(block.kind)
        what = f"{block.kind} block {block.index}"
        if block.capacity != capacity or not 0 < count == block.spectra <= capacity:
            raise BugError(
                "Only whole blocks are written to the store.",
                where=what,
                got=f"{count} rows for a block of {block.spectra} of {block.capacity}",
                allowed=f"as many rows as the block has, in blocks of {capacity}",
                kind=ErrorKind.PARTIAL_BLOCK,
            )
        if block.index >= self._blocks.get(block.kind, 0):
            # Another process may have grown the arrays since this one looked.
            spec = arrays_of(block.kind)[-1]
            rows = stored_length(self._objects, self._configuration, spec.path)
            self._blocks[block.kind] = rows // capacity
        if not 0 <= block.index < self._blocks[block.kind]:
            raise BugError(
                "The store has no room for the block.",
                where=what,
                got=f"index {block.index}",
                allowed=f"0 to {self._blocks[block.kind] - 1}",
                remedy="The coordinator calls grow before writers start.",
                kind=ErrorKind.NO_ROOM,
            )

    def write(
        self, kind: BlockKind, index: int, values: Mapping[str, NDArray[Any]]
    ) -> tuple[WrittenObject, ...]:
        """Write a block's part of every array of its kind, by path; sorted by path.

        Raises
        ------
        BugError : an array is missing, too many are given, or one has the wrong shape.
        """
        specs = sorted(arrays_of(kind), key=lambda spec: spec.path)
        if {spec.path for spec in specs} != set(values):
            raise BugError(
                "A block must fill every array of its kind.", got=sorted(values), kind=ErrorKind.SCHEMA
            )
        return self._objects.put_all(
            (
                spec.object_path(index),
                encode_block(spec, self._padded(spec, values[spec.path]), self._configuration),
            )
            for spec in specs
        )

    def rows(self, path: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of these numbers of an array, in their order.

        Raises
        ------
        StoreError : an object of the array is missing or damaged.
        """
        # Opened anew each time: an array that was opened earlier keeps its earlier shape.
        return open_array(self._objects, self._configuration, path).rows(rows)

    def _padded(self, spec: ArraySpec, values: NDArray[Any]) -> NDArray[Any]:
        shape = spec.shard_shape(self._configuration)
        if values.shape[1:] != shape[1:] or len(values) > shape[0]:
            raise BugError(
                "An array of a block has the wrong shape.",
                where=spec.path,
                got=values.shape,
                allowed=f"at most {shape[0]} rows, then {shape[1:]}",
                kind=ErrorKind.SCHEMA,
            )
        padded = np.full(shape, spec.fill, dtype=object if spec.dtype == "string" else spec.dtype)
        padded[: len(values)] = values
        return padded
