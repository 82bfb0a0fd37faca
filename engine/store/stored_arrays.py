"""Stored arrays of a store, for reading: what is damaged is an error, never a fill value.

Zarr takes an object that is missing for fill values, and raises whatever its codecs raise for one that is
damaged. Here both are errors that name the array. An array's document is not trusted: all but its length
follows from the store's configuration.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, StorePath, WrapperStore

from engine.files.file_systems import storage_options
from engine.store.configuration import RunConfiguration
from engine.store.hierarchy import array_document
from engine.store.objects import ObjectTree
from engine.store.schema import BY_PATH
from models.errors import ErrorKind, StoreError, WhyspecError
from models.json_text import read_json

DOCUMENT = "Run 'whyspec verify --repair': it is made again from the configuration."
"""Remedy for a document or a coordinate."""

_READ_BY_ALL = (
    "zarr_format", "node_type", "data_type", "chunk_grid", "chunk_key_encoding", "codecs", "dimension_names",
    "fill_value",
)  # fmt: skip
"""What in a document decides how the bytes beside it are read."""


class StoredArray:
    """An array of a store with its shape of now; slices and rows of it are read when asked for.

    Attributes
    ----------
    shape, dtype, ndim : as of a NumPy array.
    """

    def __init__(self, array: zarr.Array[Any], where: str) -> None:
        self._array = array
        self._where = where
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        """The selected part.

        Raises
        ------
        StoreError : an object of the array is missing or damaged.
        """
        with self._decoding():
            return np.asarray(self._array[selection])

    def rows(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of these numbers, in their order.

        Raises
        ------
        StoreError : an object of the array is missing or damaged, or there are no such rows.
        """
        with self._decoding():
            return np.asarray(self._array.get_orthogonal_selection((rows,)))

    @contextlib.contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except WhyspecError:
            raise
        except Exception as error:  # whatever a decoder raises, the bytes are at fault
            raise array_damaged(self._where, f"{type(error).__name__}: {error}", REMEDY) from error


REMEDY = "Run 'whyspec verify': it names what is damaged. With --repair it is computed anew."
"""Remedy for an array of which an object is missing or damaged."""


def open_array(objects: ObjectTree, configuration: RunConfiguration, path: str, rows: int = 0) -> StoredArray:
    """An array that blocks write, which must have so many rows at least.

    Raises
    ------
    StoreError : its document is missing or damaged, or it is shorter.
    """
    document, where = f"{path}/zarr.json", f"{objects.url}/{path}"
    length = stored_length(objects, configuration, path)
    if length < rows:
        raise array_damaged(
            f"{objects.url}/{document}", f"{length} rows; the ledger has {rows}", "Run again: it then grows."
        )
    meta = json.loads(_written(path, configuration))
    meta["shape"][0] = length
    return StoredArray(zarr.Array.from_dict(StorePath(_objects_only(objects), path), meta), where)


def stored_length(objects: ObjectTree, configuration: RunConfiguration, path: str) -> int:
    """Rows of an array that blocks write, finished or not, by its document.

    Raises
    ------
    StoreError : the document is missing or damaged.
    """
    document = f"{path}/zarr.json"
    where = f"{objects.url}/{document}"
    try:
        data = objects.get(document)
    except FileNotFoundError as error:
        raise array_damaged(where, "there is no such object", DOCUMENT) from error
    if wrong := difference(data, _written(path, configuration)):
        raise array_damaged(where, wrong, DOCUMENT)
    length: int = read_json(data)["shape"][0]
    return length


def difference(data: bytes, written: bytes) -> str:
    """How a document differs from what was written, but for the length of an array; empty if not."""
    expected = json.loads(written)
    try:
        found = read_json(data)
        for name in _READ_BY_ALL:
            if found.get(name) != expected.get(name):
                return f"{name} is {found.get(name)}, written was {expected.get(name)}"
        if not isinstance(found["attributes"], dict):
            return "its attributes are no object"
        if "shape" in expected:
            shape = found["shape"]
            rows = all(type(size) is int and 0 <= size < 2**63 for size in shape[:1])
            if not rows or len(shape) != len(expected["shape"]) or shape[1:] != expected["shape"][1:]:
                return f"shape is {found['shape']}, written was (rows, {expected['shape'][1:]})"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"not a Zarr document ({type(error).__name__}: {error})"
    return ""


def array_damaged(where: str, got: str, remedy: str) -> StoreError:
    """The error of an array whose document or whose objects are not what was written."""
    return StoreError(
        "An array of the store is damaged.",
        where=where,
        got=got,
        allowed="what whyspec wrote there",
        remedy=remedy,
        kind=ErrorKind.ARRAY_DAMAGED,
    )


class _ObjectsOnly(WrapperStore[Store]):
    """Gives Zarr objects that are there and that the tree lets be opened; else it raises."""

    def __init__(self, store: Store, objects: ObjectTree) -> None:
        super().__init__(store)
        self._objects = objects

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        with self._objects.reading(key):
            self._objects.check(key)
            data = await super().get(key, prototype, byte_range)
        if data is None:
            raise array_damaged(f"{self._objects.url}/{key}", "there is no such object", REMEDY)
        return data


def _written(path: str, configuration: RunConfiguration) -> bytes:
    """The document of an empty array."""
    return array_document(BY_PATH[path], configuration, 0)


def _objects_only(objects: ObjectTree) -> _ObjectsOnly:
    if objects.is_local:
        return _ObjectsOnly(LocalStore(objects.root, read_only=True), objects)
    options = storage_options(objects.url)
    return _ObjectsOnly(FsspecStore.from_url(objects.url, storage_options=options, read_only=True), objects)
