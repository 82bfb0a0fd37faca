"""Zarr hierarchy of a store: documents of groups and arrays, and blocks encoded as shards.

Everything is encoded in memory, so that an object is put as a whole, its digest is known without
reading it back, and its bytes do not depend on where the store is.

Codecs. Inner chunks are compressed by blosc (zstd, bits shuffled), the best of the portable codecs
on rounded attribution maps (2.45 times smaller than float32, against 3.5 for pcodec, which is
outside the Zarr v3 specification and unknown to other readers), followed by a crc32c, so that any
reader notices a damaged chunk. Blosc's result is reproducible because zarr-python compresses
each chunk with one thread.

Strings. Data type ``string`` with codec ``vlen-utf8`` (zarr-extensions registry): zarr-python
writes it without a warning and other implementations read it; fixed-length strings are warned of as
unstable, and arrays of characters would need decoding by hand.

Attributes of arrays and clusterings are numbers, lists of numbers, and texts: any form of netCDF has these.
The root, which xarray does not write with a group, has objects too.

No consolidated metadata: it goes stale when arrays grow and is outside the specification. xarray needs
``consolidated=False``: ``xarray.open_zarr(url, group="outliers", consolidated=False)``.

Chunks equal to the fill value are stored like any other, so every array of a committed block has
exactly one object.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.array_spec import ArrayConfig
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.metadata import ArrayV3Metadata
from zarr.storage import MemoryStore, StorePath

from engine.attribution.methods import method_of
from engine.store.configuration import RunConfiguration
from engine.store.mantissas import round_mantissas
from engine.store.schema import ARRAYS, BY_PATH, GROUP_ATTRIBUTES, SCHEMA_VERSION, ArraySpec, scales_of
from models.causes.quantities import QUANTITIES
from models.errors import BugError, ErrorKind

LEAVES = {
    "ledger": "the run's ledger: JSON objects beside this document",
    "catalogue": "a copy of the arrays for queries: Parquet files and their manifest beside this document",
    "staging": "selected spectra on their way to being explained: safetensors objects beside this document",
}
"""Folders without arrays. Each is declared a scalar array (its value is the schema version), so
that readers which walk the hierarchy take it for a leaf instead of warning about it."""

_CONFIG = ArrayConfig.from_dict({"write_empty_chunks": True})
"""Chunks of fill values are stored, too."""


def encode_block(spec: ArraySpec, values: NDArray[Any], configuration: RunConfiguration) -> bytes:
    """The bytes of the shard of ``values``, a whole block's part of the array.

    Raises
    ------
    BugError : the values are not exactly one shard.
    """
    shape = spec.shard_shape(configuration)
    if values.shape != shape:
        raise BugError(
            "Only whole shards are written to the store.",
            where=spec.path,
            got=f"values of shape {values.shape}",
            allowed=f"shape {shape}",
            kind=ErrorKind.PARTIAL_SHARD,
        )
    if spec.keep_bits is not None:
        values = round_mantissas(values, spec.keep_bits)
    objects: dict[str, Buffer] = {}
    place = StorePath(MemoryStore(store_dict=objects), spec.path)
    array = zarr.Array(zarr.AsyncArray(_metadata(spec.path, configuration), place, _CONFIG))
    array[...] = values
    return objects[spec.object_path(0)].to_bytes()


def array_document(spec: ArraySpec, configuration: RunConfiguration, length: int) -> bytes:
    """``zarr.json`` of an array with ``length`` rows along its first dimension."""
    return _document(spec.path, configuration, length)


def group_document(attributes: Mapping[str, object]) -> bytes:
    """``zarr.json`` of a group; never with consolidated metadata, which a resize makes stale."""
    document = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    return json.dumps(document, indent=2, sort_keys=True, allow_nan=False).encode()


def plain_array(
    path: str, values: NDArray[Any], dims: tuple[str, ...], attributes: Mapping[str, Any]
) -> dict[str, bytes]:
    """Objects, by path, of a small array kept in one chunk: coordinates, results of clusterings."""
    objects: dict[str, Buffer] = {}
    text = values.dtype.kind in "UTO"
    array = zarr.create_array(
        MemoryStore(store_dict=objects),
        name=path,
        shape=values.shape,
        dtype="string" if text else values.dtype,
        chunks=tuple(max(size, 1) for size in values.shape),
        compressors=_compressors(1 if text else values.dtype.itemsize),
        fill_value=_fill(values),
        dimension_names=dims,
        attributes=dict(attributes),
        config=_CONFIG,
    )
    if values.size:
        array[...] = values.astype(object) if text else values
    return {name: data.to_bytes() for name, data in objects.items() if name.startswith(f"{path}/")}


def new_documents(configuration: RunConfiguration, root_attributes: Mapping[str, object]) -> dict[str, bytes]:
    """Every object of an empty store by path, the root's document last."""
    return {**_documents(configuration), "zarr.json": group_document(root_attributes)}


def set_documents(configuration: RunConfiguration, attributes: Mapping[str, object]) -> dict[str, bytes]:
    """Every object of a set of explanations without any, by path below its folder.

    It is what an empty store of that configuration has of ``outliers/`` and its ledger.
    """
    documents = _documents(configuration).items()
    own = {path: data for path, data in documents if path.startswith(("outliers/", "ledger/"))}
    return {**own, "zarr.json": group_document(attributes)}


@lru_cache(maxsize=4)
def _documents(configuration: RunConfiguration) -> Mapping[str, bytes]:
    """Every object of an empty store but the root's document: kept, as verifying needs it again."""
    objects: dict[str, bytes] = {}
    for group, attributes in GROUP_ATTRIBUTES.items():
        objects[f"{group}/zarr.json"] = group_document(attributes)
    for spec in ARRAYS:
        objects[f"{spec.path}/zarr.json"] = array_document(spec, configuration, 0)
    for name, description in LEAVES.items():
        leaf = plain_array(name, np.array(SCHEMA_VERSION, np.int32), (), {"description": description})
        objects.update(leaf)
    for path, values, attributes in _coordinates(configuration):
        objects.update(plain_array(path, values, (path.rsplit("/", 1)[1],), attributes))
    return MappingProxyType(objects)


def _coordinates(configuration: RunConfiguration) -> list[tuple[str, NDArray[Any], dict[str, object]]]:
    wavelength = {
        "units": "Angstrom",
        "long_name": "observed wavelength",
        "description": "pixel centres, vacuum, barycentric or heliocentric as the survey publishes",
    }
    window = {"units": "pixel", "description": method_of(configuration.attribution).scale_meaning}
    names = np.array(configuration.reconstruction_scores, dtype=object)
    return [
        ("outliers/wavelength", configuration.grid.wavelength(), dict(wavelength)),
        ("outliers/window", np.array(scales_of(configuration), np.int32), dict(window)),
        (
            "outliers/quantity",
            np.array(list(QUANTITIES), dtype=object),
            {"description": "quantities of estimates"},
        ),
        ("scores/latent", np.arange(configuration.latents, dtype=np.int32), {"description": "latent number"}),
        ("scores/reconstruction_score", names, {"description": "names of the reconstruction scores"}),
    ]


@lru_cache(maxsize=512)
def _document(path: str, configuration: RunConfiguration, length: int) -> bytes:
    one_block = _metadata(path, configuration)
    metadata = dataclasses.replace(one_block, shape=(length, *one_block.shape[1:]))
    return metadata.to_buffer_dict(default_buffer_prototype())["zarr.json"].to_bytes()


@lru_cache(maxsize=256)
def _metadata(path: str, configuration: RunConfiguration) -> ArrayV3Metadata:
    """What zarr makes of an array as long as a block: kept, as every block of a run needs it again."""
    spec = BY_PATH[path]
    shard = spec.shard_shape(configuration)
    text = spec.dtype == "string"
    array = zarr.create_array(
        MemoryStore(),
        name=path,
        shape=shard,
        dtype="string" if text else np.dtype(spec.dtype),
        chunks=spec.chunk_shape(configuration),
        shards=shard,
        compressors=_compressors(1 if text else np.dtype(spec.dtype).itemsize),
        fill_value=spec.fill,
        dimension_names=spec.dims,
        attributes=array_attributes(spec, configuration),
    )
    assert isinstance(array.metadata, ArrayV3Metadata)  # noqa: S101 - zarr writes v3
    return array.metadata


def _compressors(itemsize: int) -> tuple[BytesBytesCodec, ...]:
    shuffle = "noshuffle" if itemsize == 1 else "bitshuffle"
    return BloscCodec(typesize=itemsize, cname="zstd", clevel=3, shuffle=shuffle), Crc32cCodec()  # type: ignore[arg-type]


def array_attributes(spec: ArraySpec, configuration: RunConfiguration) -> dict[str, Any]:
    """What the array's document says of its values: unit, meaning, rounding."""
    unit = spec.unit_in(configuration)
    # Readers of units know neither nat nor sigma: to them both are plain numbers, and words name them.
    readable = re.sub("nat|sigma", "1", unit)
    named = "" if readable == unit else f", in {unit}"
    attributes: dict[str, object] = {"long_name": spec.description + named}
    if unit:
        attributes["units"] = readable
    if spec.keep_bits is not None:
        attributes["mantissa_bits"] = spec.keep_bits
        attributes["relative_error"] = 2.0 ** -(spec.keep_bits + 1)
        attributes["rounding"] = (
            f"mantissas are rounded to {spec.keep_bits} bits, to nearest, ties to even: "
            f"relative error at most 2**-{spec.keep_bits + 1}"
        )
    if spec.name == "model":
        attributes["models"] = "\n".join(map(str, configuration.models))
    return {**attributes, **spec.attributes}


def _fill(values: NDArray[Any]) -> object:
    if values.dtype.kind in "UTO":
        return ""
    return np.nan if values.dtype.kind == "f" else values.dtype.type(0)
