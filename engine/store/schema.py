"""The schema of a store: every array of a block, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from engine.attribution.explanation import ARRAYS as EXPLANATION_ARRAYS
from engine.attribution.explanation import ExplanationArray, UnitOf
from engine.attribution.method import Units
from engine.attribution.methods import method_of
from engine.attribution.places import MOST_PLACES
from engine.spectra.exposure_remarks import ExposureRemark
from engine.spectra.rows import COLUMNS, Column
from engine.store.blocks import BlockKind
from engine.store.configuration import MOST_ROWS, RunConfiguration
from models.causes.quantities import QUANTITIES
from models.row_status import RowStatus

SCHEMA_VERSION = 12
"""Grows with every change that an older reader would misread."""

FLUX_UNIT = "1e-17 erg / (s cm2 Angstrom)"


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array that blocks write; its first dimension is ``row`` or ``outlier``.

    Attributes
    ----------
    group, name : where it is.
    dtype : NumPy type code, or ``"string"``.
    dims : names of its dimensions.
    fill : what unwritten and padding elements hold.
    inner : most elements of an inner chunk along each dimension, 0 for all of the shard's. A shard
        is one block; a reader of a few rows decodes inner chunks only.
    unit, description : for the array's attributes; the unit is a text, or what gives it of a method's units.
    keep_bits : mantissa bits kept, ``None`` for all.
    attributes : further attributes.
    """

    group: str
    name: str
    dtype: str
    dims: tuple[str, ...]
    fill: object
    inner: tuple[int, ...]
    unit: UnitOf
    description: str
    keep_bits: int | None = None
    attributes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def path(self) -> str:
        """The array's path in the store."""
        return f"{self.group}/{self.name}"

    @property
    def kind(self) -> BlockKind:
        """Which kind of block writes it."""
        return "score" if self.dims[0] == "row" else "attribution"

    def object_path(self, block: int) -> str:
        """Path of the one object that holds the array's part of a block."""
        return "/".join([self.path, "c", str(block)] + ["0"] * (len(self.dims) - 1))

    def shard_shape(self, configuration: RunConfiguration) -> tuple[int, ...]:
        """Shape of a block's part of the array."""
        sizes = dimension_sizes(configuration)
        return tuple(sizes[name] for name in self.dims)

    def unit_in(self, configuration: RunConfiguration) -> str:
        """The values' unit in a store of this configuration; empty for what has none."""
        return self.unit if isinstance(self.unit, str) else self.unit(units_of(configuration))

    def chunk_shape(self, configuration: RunConfiguration) -> tuple[int, ...]:
        """Shape of the inner chunks: the largest divisors of the shard's shape within ``inner``."""
        shape = self.shard_shape(configuration)
        return tuple(_divisor(size, most) for size, most in zip(shape, self.inner, strict=True))


def dimension_sizes(configuration: RunConfiguration) -> dict[str, int]:
    """Elements per block along each dimension."""
    return {
        "row": configuration.block_rows,
        "outlier": configuration.outlier_block_rows,
        "latent": configuration.latents,
        "reconstruction_score": len(configuration.reconstruction_scores),
        "window": len(scales_of(configuration)),
        "wavelength": configuration.grid.size,
        "place": MOST_PLACES,
        "quantity": len(QUANTITIES),
    }


def check_sizes(configuration: RunConfiguration) -> None:
    """Refuse a configuration whose blocks no run makes: a store's configuration may come from others.

    Raises
    ------
    ValueError : a dimension, or a scale, is not from 1 to :data:`engine.store.configuration.MOST_ROWS`.
    """
    sizes = {**dimension_sizes(configuration), "scale": max(scales_of(configuration))}
    for name, size in sizes.items():
        if not 0 < size <= MOST_ROWS:
            raise ValueError(f"{name}: {size}, allowed are 1 to {MOST_ROWS:,}")


def scales_of(configuration: RunConfiguration) -> tuple[int, ...]:
    """Scales of the attribution maps, in pixels."""
    return method_of(configuration.attribution).scales(configuration.attribution)


def units_of(configuration: RunConfiguration) -> Units:
    """Units of the attribution maps."""
    return method_of(configuration.attribution).units(configuration.attribution)


def _divisor(size: int, most: int) -> int:
    if most == 0 or size <= most:
        return size
    return next(part for part in range(most, 0, -1) if size % part == 0)


def _of_column(column: Column) -> ArraySpec:
    flags: dict[str, object] = {}
    if column.name == "status":
        flags = {
            "flag_values": [int(status) for status in RowStatus],
            "flag_meanings": " ".join(status.label for status in RowStatus),
            "flag_descriptions": "\n".join(status.meaning for status in RowStatus),
        }
    elif column.name == "exposure_remarks":
        flags = {
            "flag_masks": [int(remark) for remark in ExposureRemark],
            "flag_meanings": " ".join(remark.label for remark in ExposureRemark),
            "flag_descriptions": "\n".join(remark.meaning for remark in ExposureRemark),
        }
    return ArraySpec(
        group="spectra",
        name=column.name,
        dtype="string" if column.dtype[0] in "UO" else np.dtype(column.dtype).name,
        dims=("row",),
        fill=column.missing,
        inner=(4096,),
        unit=column.unit,
        description=column.description,
        attributes=MappingProxyType(flags),
    )


def _of_row(
    name: str, dtype: str, fill: object, unit: str, description: str, group: str = "scores"
) -> ArraySpec:
    return ArraySpec(group, name, dtype, ("row",), fill, (4096,), unit, description)


_STORED_NAMES = {"scale": "window"}
"""What this schema calls a dimension of explanations otherwise than they do."""

# 16 outliers of one scale: measured best between reading one outlier and one scale of all.
_INNER = {
    (): (4096,),
    ("place",): (4096, 0),
    ("quantity",): (4096, 0),
    ("wavelength",): (16, 0),
    ("scale", "wavelength"): (16, 1, 0),
}


def _of_explanation(name: str, array: ExplanationArray) -> ArraySpec:
    return ArraySpec(
        group="outliers",
        name=name,
        dtype=array.dtype,
        dims=("outlier", *(_STORED_NAMES.get(dimension, dimension) for dimension in array.dims)),
        fill=array.fill,
        inner=_INNER[array.dims],
        unit=array.unit,
        description=array.description,
        keep_bits=array.keep_bits,
        attributes=array.attributes,
    )


EXPLANATIONS: Mapping[str, ArraySpec] = MappingProxyType(
    {name: _of_explanation(name, array) for name, array in EXPLANATION_ARRAYS.items()}
)
"""The arrays of explanations, by the field of :class:`engine.attribution.explanation.Explanations`."""

ARRAYS: tuple[ArraySpec, ...] = (
    *(_of_column(column) for column in COLUMNS),
    _of_row("source", "string", "", "", "URL of the source file", "spectra"),
    _of_row("superseded", "bool", False, "", "true if a later row holds a newer version of it", "spectra"),
    _of_row("gone", "bool", False, "", "true if its file has vanished from the release", "spectra"),
    _of_row("model", "int8", -1, "", "model that the spectrum was given to, by place in models; -1 for none"),
    ArraySpec(
        "scores", "latents", "float32", ("row", "latent"), np.nan, (1024, 0), "1", "latents of the encoder"
    ),
    _of_row(
        "score",
        "float32",
        np.nan,
        "1",
        "what the row's model gives, the higher the odder; in nat of a local model, else as docs/vae.md and "
        "docs/spender.md say",
    ),
    _of_row("tail_probability", "float32", np.nan, "1", "share of usual spectra like it that score as high"),
    _of_row("tail_uncertainty", "float32", np.nan, "nat", "standard deviation of ln(tail_probability)"),
    ArraySpec(
        "scores",
        "reconstruction",
        "float32",
        ("row", "reconstruction_score"),
        np.nan,
        (1024, 0),
        "",
        "reconstruction scores, see the coordinate for their names",
    ),
    _of_row("normalisation", "float32", np.nan, FLUX_UNIT, "median flux that the spectrum was divided by"),
    _of_row("outlier", "bool", False, "", "tail probability at or below the run's threshold"),
    *EXPLANATIONS.values(),
)

BY_PATH: Mapping[str, ArraySpec] = MappingProxyType({spec.path: spec for spec in ARRAYS})

GROUP_ATTRIBUTES: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "spectra": {
            "description": "one row per spectrum, in order of arrival; status 0 is padding",
            "coordinates": "key",
        },
        "scores": {"description": "scores of the rows of spectra/; NaN where the status is not scored"},
        "outliers": {
            "description": "explained outliers, in order of explanation; row -1 is padding",
            "coordinates": "row key target_id redshift",
        },
        "clusters": {"description": "one group per clustering of the explanations"},
    }
)

FlagName = Literal["superseded", "gone"]
"""Flags that rows are given after their block is committed: newer rows replace them; their file has
vanished from the release."""

FLAGS: Mapping[FlagName, ArraySpec] = MappingProxyType(
    {name: BY_PATH[f"spectra/{name}"] for name in get_args(FlagName)}
)
"""The arrays whose objects change after their block is committed, by the name of the flag."""


def arrays_of(kind: BlockKind) -> tuple[ArraySpec, ...]:
    """The arrays of which one block of this kind writes one object each."""
    return tuple(spec for spec in ARRAYS if spec.kind == kind)
