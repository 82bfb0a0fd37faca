"""Clusterings in a store: small arrays of one writer, visible only when complete."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.store.hierarchy import group_document, open_array, plain_array
from engine.store.ledger import ClusteringEntry, Ledger
from engine.store.objects import ObjectTree
from engine.store.store import Store
from models.errors import ConfigurationError, ErrorKind, InputError

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


def read_clustering(objects: ObjectTree, name: str) -> StoredClustering:
    """A complete clustering.

    Raises
    ------
    InputError : there is none of that name.
    """
    ledger = Ledger(objects)
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
    arrays = {}
    for written in entry.objects:
        path = written.path.removesuffix("/zarr.json")
        if path in (written.path, group):
            continue
        short = path.removeprefix(f"{group}/")
        document = json.loads(objects.get(written.path))
        arrays[short] = ClusterArray(
            name=short,
            dims=tuple(document["dimension_names"] or ()),
            values=np.asarray(open_array(objects, path)[...]),
            attributes=document["attributes"],
        )
    attributes = json.loads(objects.get(f"{group}/zarr.json"))["attributes"]
    return StoredClustering(name, arrays, attributes)


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
