"""Columns of a catalogue, derived from the schema of the store's arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from engine.store.blocks import BlockKind
from engine.store.configuration import RunConfiguration
from engine.store.schema import ARRAYS, FLAGS, ArraySpec
from models.causes.quantities import QUANTITIES
from models.digests import canonical_json, digest_of

ROW, OUTLIER = "row", "outlier_row"
"""Number of a spectrum in ``spectra/``, and of an explanation in ``outliers/``."""

_NOT_ARRAYS = {"score": ROW, "attribution": OUTLIER}


@dataclass(frozen=True, slots=True)
class CatalogueColumn:
    """One column of a catalogue's file.

    Attributes
    ----------
    name : its name.
    path : the array that it comes from; empty for the number of the row itself.
    place : which element of the array's second dimension; -1 for arrays of one dimension, and where all
        elements are one list.
    dtype : NumPy type code of a value, or ``"string"``.
    is_list : whether each row has as many values as an explanation has places.
    unit, description : of the values.
    """

    name: str
    path: str
    place: int
    dtype: str
    is_list: bool
    unit: str
    description: str

    @property
    def type(self) -> pa.DataType:
        """Its type in Arrow."""
        value = pa.string() if self.dtype == "string" else pa.from_numpy_dtype(self.dtype)
        return pa.list_(value) if self.is_list else value

    @property
    def field(self) -> pa.Field:
        """Its field in Arrow, with unit and description."""
        return pa.field(self.name, self.type, metadata={"unit": self.unit, "description": self.description})


@cache
def catalogue_columns(kind: BlockKind, configuration: RunConfiguration) -> tuple[CatalogueColumn, ...]:
    """The columns of the files that are made of blocks of a kind.

    Left out are arrays over wavelengths, and the flags, which the ledger keeps and every reader takes from
    there.
    """
    number = _NOT_ARRAYS[kind]
    what = "spectra/ and scores/" if kind == "score" else "outliers/"
    first = CatalogueColumn(number, "", -1, "int64", False, "", f"row in {what}")
    specs = [spec for spec in ARRAYS if spec.kind == kind and spec not in FLAGS.values()]
    return (first, *(column for spec in specs for column in _columns_of(spec, configuration)))


def columns_digest(configuration: RunConfiguration) -> str:
    """Digest of the names, sources and types of all columns: another version of whyspec may have others."""
    kinds: tuple[BlockKind, ...] = ("score", "attribution")
    columns: dict[str, object] = {
        kind: [_described(each) for each in catalogue_columns(kind, configuration)] for kind in kinds
    }
    return digest_of(canonical_json(columns))


def _described(column: CatalogueColumn) -> list[object]:
    return [column.name, column.path, column.place, column.dtype, column.is_list]


def _columns_of(spec: ArraySpec, configuration: RunConfiguration) -> Iterator[CatalogueColumn]:
    unit = spec.unit_in(configuration)

    def column(name: str, place: int = -1, *, is_list: bool = False, unit: str = unit) -> CatalogueColumn:
        return CatalogueColumn(name, spec.path, place, spec.dtype, is_list, unit, spec.description)

    match spec.dims[1:]:
        case ():
            yield column(spec.name)
        case ("place",):
            yield column(spec.name, is_list=True)
        case ("latent",):
            yield from (column(f"latent_{place}", place) for place in range(configuration.latents))
        case ("reconstruction_score",):
            names = configuration.reconstruction_scores
            yield from (column(name, place) for place, name in enumerate(names))
        case ("quantity",):
            suffix = spec.name.removeprefix("estimate")
            yield from (
                column(f"estimate_{name}{suffix}", place, unit=quantity.unit)
                for place, (name, quantity) in enumerate(QUANTITIES.items())
            )
