"""Clusterings in a store: small arrays of one writer, visible only when complete."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.store.blocks import WrittenObject
from engine.store.entries import ClusteringEntry
from engine.store.ledger import Ledger, clustering_path
from engine.store.objects import ObjectTree
from models.digests import digest_of
from models.errors import ConfigurationError, ErrorKind, InputError, StoreError
from models.json_text import read_json

if TYPE_CHECKING:
    from engine.store.store import Store

_LARGEST_ARRAY = 2**31
"""Bytes of the largest array of a clustering: fifty coordinates of ten million outliers."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class ClusterArray:
    """One array of a clustering. An array named like its only dimension is that dimension's coordinate.

    Attributes
    ----------
    name : its name.
    dims : names of its dimensions, e.g. ``("cluster", "rest_wavelength")``.
    values : numbers or strings.
    attributes : e.g. ``units``, ``description``.
    """

    name: str
    dims: tuple[str, ...]
    values: NDArray[Any]
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredClustering:
    """A complete clustering as it was written: its arrays by name, and its attributes."""

    name: str
    arrays: Mapping[str, ClusterArray]
    attributes: Mapping[str, object]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name].values


def write_clustering(
    store: Store, name: str, arrays: Sequence[ClusterArray], attributes: Mapping[str, object]
) -> ClusteringEntry:
    """Write a clustering to the group ``clusters/<name>``; one of that name is replaced.

    While it is being replaced, and if the writer is killed, readers see no clustering of that name;
    never half of one.

    Parameters
    ----------
    attributes : settings and whatever else describes the clustering, JSON-ready.

    Raises
    ------
    ConfigurationError : the name cannot be used.
    ValueError : arrays disagree about the length of a dimension, or a name comes twice.
    """
    from engine.store.hierarchy import group_document, plain_array

    _check_name(name)
    _check_arrays(arrays)
    group = f"clusters/{name}"
    documents = {f"{group}/zarr.json": group_document(attributes)}
    for array in arrays:
        documents |= plain_array(f"{group}/{array.name}", array.values, array.dims, array.attributes)
    objects = store.objects
    store.ledger.drop_clustering(name)
    objects.delete(path for path in objects.sizes(group) if path not in documents)
    written = objects.put_all(sorted(documents.items()))
    entry = ClusteringEntry(name, written)
    store.ledger.save_clustering(entry)
    return entry


def read_clustering(objects: ObjectTree, ledger: Ledger, name: str) -> StoredClustering:
    """A complete clustering.

    Raises
    ------
    InputError : there is none of that name.
    StoreError : its entry or one of its objects is missing or damaged.
    """
    entry = ledger.clustering(name)
    if entry is None:
        raise InputError(
            "The store has no clustering of that name.",
            where=objects.url,
            got=name,
            allowed=", ".join(ledger.clustering_names()) or "none: no clustering was made yet",
            remedy="Make one with 'whyspec cluster', or choose an allowed name.",
            kind=ErrorKind.NO_CLUSTERING,
        )
    group = f"clusters/{name}"
    content = {written.path: _as_written(objects, name, written) for written in entry.objects}
    documents = [path.removesuffix("/zarr.json") for path in content if path.endswith("/zarr.json")]
    try:
        attributes = read_json(content[f"{group}/zarr.json"])["attributes"]
        arrays = [_decoded(path, content) for path in documents if path != group]
    except Exception as error:  # whatever a decoder raises, the bytes are at fault
        raise clustering_damaged(f"{objects.url}/{group}", f"{type(error).__name__}: {error}") from error
    return StoredClustering(name, {array.name: array for array in arrays}, attributes)


def clustering_damaged(where: str, got: object) -> StoreError:
    """The error of a clustering that is not as it was written."""
    return StoreError(
        "A clustering is incomplete or damaged.",
        where=where,
        got=got,
        allowed="what 'whyspec cluster' wrote",
        remedy="Run 'whyspec cluster' again: it replaces the clustering.",
        kind=ErrorKind.CLUSTERING_ATTRIBUTES,
    )


def _as_written(objects: ObjectTree, name: str, written: WrittenObject) -> bytes:
    """The bytes of an object of the clustering of that name, which are those that were recorded."""
    where = f"{objects.url}/{written.path}"
    try:
        data = objects.get(written.path)
    except FileNotFoundError as error:
        raise clustering_damaged(where, "there is no such object") from error
    if (len(data), digest_of(data)) != (written.bytes, written.digest):
        raise clustering_damaged(where, f"its content is not what {clustering_path(name)} records")
    return data


def _decoded(path: str, content: Mapping[str, bytes]) -> ClusterArray:
    """The array of that path from the objects of its clustering; raises what decoders raise."""
    # Imported here: Zarr takes a fifth of a second, and most queries read no array.
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore, StorePath

    document = read_json(content[f"{path}/zarr.json"])
    buffers = {name: default_buffer_prototype().buffer.from_bytes(data) for name, data in content.items()}
    array = zarr.Array.from_dict(StorePath(MemoryStore(store_dict=buffers), path), document)
    chunk = tuple(max(size, 1) for size in array.shape)
    if array.nbytes > _LARGEST_ARRAY or array.chunks != chunk or array.shards is not None:
        raise ValueError(f"an array of {array.nbytes:,} bytes in chunks of {array.chunks}")
    return ClusterArray(
        name=path.rpartition("/")[2],
        dims=tuple(document["dimension_names"] or ()),
        values=np.asarray(array[...]),
        attributes=document["attributes"],
    )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "A clustering cannot have that name.",
            got=repr(name),
            allowed="up to 64 letters, digits, '_', '.' and '-', the first a letter or digit",
            remedy="Choose another name.",
            kind=ErrorKind.CLUSTERING_NAME,
        )


def _check_arrays(arrays: Sequence[ClusterArray]) -> None:
    lengths: dict[str, int] = {}
    for array in arrays:
        if not _NAME.fullmatch(array.name) or sum(other.name == array.name for other in arrays) > 1:
            raise ValueError(f"array name {array.name!r} is not usable or comes twice")
        if len(array.dims) != array.values.ndim:
            raise ValueError(f"{array.name}: {array.values.ndim} dimensions, named {array.dims}")
        for dim, length in zip(array.dims, array.values.shape, strict=True):
            if lengths.setdefault(dim, length) != length:
                raise ValueError(f"{array.name}: {dim} has {length} elements, elsewhere {lengths[dim]}")
