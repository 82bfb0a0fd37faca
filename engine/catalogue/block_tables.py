"""Tables of finished blocks as a catalogue has them, read from the store's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.catalogue.columns import CatalogueColumn
from engine.store.blocks import BlockKind


class BlockArrays(Protocol):
    """What gives the values of finished blocks: a view of a store."""

    def numbers(self, kind: BlockKind, blocks: Sequence[int]) -> NDArray[np.int64]:
        """Numbers of the rows of these blocks, padding left out."""
        ...

    def read_blocks(self, path: str, blocks: Sequence[int]) -> NDArray[Any]:
        """The values of an array in these rows."""
        ...


def block_table(
    arrays_of: BlockArrays, kind: BlockKind, blocks: Sequence[int], columns: Sequence[CatalogueColumn]
) -> pa.Table:
    """These columns of all rows of finished blocks, padding left out, in the order of the blocks.

    Raises
    ------
    StoreError : an array is damaged, or the ledger's entry of a block.
    """
    arrays: list[pa.Array] = []
    path, values = "", np.empty(0)
    for column in columns:
        if not column.path:
            arrays.append(pa.array(arrays_of.numbers(kind, blocks)))
            continue
        if column.path != path:  # columns of one array follow each other: it is read once
            path, values = column.path, arrays_of.read_blocks(column.path, blocks)
        arrays.append(_arrow(column, values if column.place < 0 else values[:, column.place]))
    return pa.Table.from_arrays(arrays, schema=pa.schema([column.field for column in columns]))


def _arrow(column: CatalogueColumn, values: NDArray[Any]) -> pa.Array:
    flat = values.reshape(-1)
    text = column.dtype == "string"
    array = pa.array(flat.astype(object), pa.string()) if text else pa.array(np.ascontiguousarray(flat))
    if not column.is_list:
        return array
    starts = np.arange(len(values) + 1, dtype=np.int32) * np.int32(values.shape[1])
    return pa.ListArray.from_arrays(pa.array(starts), array, type=column.type)
