"""Explanations: what is known of explained spectra, from the worker through the store to the page.

:class:`Explanations` is also the table of the arrays that a store keeps of them: each field says type, shape,
unit, meaning and filling. Schema, writer and reader follow from it; a further array is a further field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution
from engine.attribution.cause import Cause
from engine.attribution.cautions import Caution
from engine.attribution.method import Units
from engine.attribution.places import MOST_PLACES, Place, stored_places
from engine.attribution.significance import Significance, trials_in
from engine.spectra.scored_spectra import SelectedSpectra
from models.causes.estimate import Estimate, Measurement
from models.causes.quantities import QUANTITIES
from models.grid import WavelengthGrid

Dimension = Literal["scale", "wavelength", "place", "quantity"]

UnitOf = str | Callable[[Units], str]
"""A unit, or what gives it of a method's units."""

MAP_BITS = 10
"""Mantissa bits that stored attribution maps keep: a relative error of at most 2 ** -11."""


@dataclass(frozen=True, slots=True)
class ExplanationArray:
    """One array of n explanations.

    Attributes
    ----------
    dtype : NumPy type code, or ``"string"``.
    dims : dimensions after the first, which is the explanation.
    unit : of the values, or what gives it of a method's units; description : of the values.
    fill : what stands for no explanation, where a block of the store is not full.
    unexplained : what stands for a spectrum that has none (yet); ``fill`` if None.
    keep_bits : mantissa bits kept in the store, None for all.
    attributes : further attributes of the stored array.
    """

    dtype: str
    dims: tuple[Dimension, ...]
    unit: UnitOf
    description: str
    fill: object = np.nan
    unexplained: object = None
    keep_bits: int | None = None
    attributes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def empty(self, count: int, sizes: Mapping[str, int]) -> NDArray[Any]:
        """The array of so many spectra that are not explained, for these sizes of the dimensions."""
        nothing = self.fill if self.unexplained is None else self.unexplained
        dtype = object if self.dtype == "string" else self.dtype
        return np.full((count, *(sizes[name] for name in self.dims)), nothing, dtype)


def _of(dtype: str, unit: str, description: str, **more: Any) -> dict[str, ExplanationArray]:
    return {"array": ExplanationArray(dtype, (), unit, description, **more)}


def _spectrum(description: str, unit: UnitOf = "1", **more: Any) -> dict[str, ExplanationArray]:
    return {"array": ExplanationArray("float32", ("wavelength",), unit, description, **more)}


def _map(description: str) -> dict[str, ExplanationArray]:
    dims: tuple[Dimension, ...] = ("scale", "wavelength")
    unit = attrgetter("maps")
    return {"array": ExplanationArray("float32", dims, unit, description, keep_bits=MAP_BITS)}


def _places(dtype: str, unit: str, description: str, **more: Any) -> dict[str, ExplanationArray]:
    return {"array": ExplanationArray(dtype, ("place",), unit, description, **more)}


def _quantities(dtype: str, description: str) -> dict[str, ExplanationArray]:
    attributes = {
        "quantity_units": ", ".join(f"{name} [{each.unit or 1}]" for name, each in QUANTITIES.items()),
        "quantity_descriptions": "\n".join(each.meaning for each in QUANTITIES.values()),
    }
    return {"array": ExplanationArray(dtype, ("quantity",), "", description, attributes=attributes)}


_CAUTIONS = {
    "flag_masks": [int(caution) for caution in Caution],
    "flag_meanings": " ".join(caution.label for caution in Caution),
    "flag_descriptions": "\n".join(caution.meaning for caution in Caution),
}


@dataclass(frozen=True, eq=False)
class Explanations:
    """n explained spectra on a grid of N pixels, at S scales; all arrays have n rows.

    Attributes
    ----------
    grid : of the spectra.
    scales : of the maps, in pixels; units : of the maps.

    Raises
    ------
    ValueError : an array has another shape than the table says.
    """

    grid: WavelengthGrid
    scales: tuple[int, ...]
    units: Units
    row: NDArray[np.int64] = field(
        metadata=_of("int64", "", "row of the spectrum in spectra/ and scores/; -1 is padding", fill=-1)
    )
    key: NDArray[Any] = field(
        metadata=_of("string", "", "spectrum key: names one spectrum for ever", fill="")
    )
    target_id: NDArray[np.int64] = field(metadata=_of("int64", "", "DESI TARGETID; SDSS SPECOBJID", fill=-1))
    redshift: NDArray[np.float64] = field(metadata=_of("float64", "", "redshift of the survey's pipeline"))
    model: NDArray[np.int8] = field(
        metadata=_of("int8", "", "model that scored and explained it, by place in models", fill=-1)
    )
    flux: NDArray[np.float32] = field(metadata=_spectrum("flux as scored: divided by the normalisation"))
    ivar: NDArray[np.float32] = field(
        metadata=_spectrum("inverse variance of the flux as scored, 0 where masked")
    )
    baseline: NDArray[np.float32] = field(
        metadata=_spectrum("mean of the baselines at the spectrum's redshift")
    )
    maps: NDArray[np.float32] = field(
        metadata=_map("attribution per window: rise of the score; positive makes the spectrum odd")
    )
    spread: NDArray[np.float32] = field(metadata=_map("standard deviation of each map over the baselines"))
    combined: NDArray[np.float32] = field(
        metadata=_spectrum(
            "the windows' maps brought together, see the occlusion's combination in the configuration",
            unit=attrgetter("combined"),
            keep_bits=MAP_BITS,
        )
    )
    explained_score: NDArray[np.float32] = field(
        metadata=_of("float32", "nat", "score that is explained, the higher the odder")
    )
    baseline_score: NDArray[np.float32] = field(
        metadata=_of("float32", "nat", "mean of the baselines' scores")
    )
    cause: NDArray[Any] = field(
        metadata=_of("string", "", "what most likely made the spectrum odd; 'unknown' is one", fill="")
    )
    cause_probability: NDArray[np.float32] = field(metadata=_of("float32", "1", "probability of the cause"))
    instrument_probability: NDArray[np.float32] = field(
        metadata=_of(
            "float32", "1", "of causes of instrument, sky and reduction; half of what is unknown counts"
        )
    )
    other_class: NDArray[Any] = field(
        metadata=_of(
            "string", "", "class of another model than its own by which the spectrum is usual", fill=""
        )
    )
    estimate: NDArray[np.float64] = field(
        metadata=_quantities(
            "float64", "what the cause measured, by quantity; NaN of what it does not measure"
        )
    )
    estimate_error: NDArray[np.float32] = field(
        metadata=_quantities(
            "float32", "standard deviation of each estimate; 0 where only some values can be"
        )
    )
    not_testable: NDArray[Any] = field(
        metadata=_of(
            "string", "", "causes of which the spectrum can show no template, with a space between", fill=""
        )
    )
    reconstruction: NDArray[np.float32] = field(
        metadata=_spectrum("spectrum without noise that the model sees in the flux")
    )
    template: NDArray[np.float32] = field(
        metadata=_spectrum("the cause's best template times its amplitude; NaN where the cause has none")
    )
    trials: NDArray[np.int32] = field(
        metadata=_of("int32", "", "independent intervals, of all widths of places, in the spectrum", fill=0)
    )
    place_wavelength: NDArray[np.float64] = field(
        metadata=_places("float64", "Angstrom", "observed wavelength of the middle of each place")
    )
    place_rest_wavelength: NDArray[np.float64] = field(
        metadata=_places("float64", "Angstrom", "the same in the rest frame")
    )
    place_width: NDArray[np.float32] = field(
        metadata=_places("float32", "Angstrom", "observed width of each place")
    )
    place_sign: NDArray[np.int8] = field(
        metadata=_places(
            "int8", "", "1 for an excess of flux against the reconstruction, -1 for a deficit", fill=0
        )
    )
    place_share: NDArray[np.float32] = field(
        metadata=_places("float32", "1", "share of the combined map above its floor")
    )
    place_line: NDArray[Any] = field(
        metadata=_places("string", "", "name of the line that each place is of", fill="")
    )
    place_sigma: NDArray[np.float32] = field(
        metadata=_places("float32", "sigma", "residual over error of each whole place, without its sign")
    )
    place_pixels: NDArray[np.int32] = field(
        metadata=_places("int32", "", "good pixels of each place", fill=0)
    )
    cautions: NDArray[np.uint16] = field(
        metadata=_of(
            "uint16",
            "",
            "cautions: what tells that an explanation is not to be trusted; 0 for none",
            fill=0,
            attributes=MappingProxyType(_CAUTIONS),
        )
    )

    def __post_init__(self) -> None:
        _refuse_other_shapes(self, (len(self),))

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def unexplained(
        cls,
        selected: SelectedSpectra,
        grid: WavelengthGrid,
        scales: Sequence[int],
        units: Units,
        key: NDArray[Any] | None = None,
        target_id: NDArray[np.int64] | None = None,
    ) -> Self:
        """Of spectra that are not explained (yet): of them is known what was scored, and who they are.

        Parameters
        ----------
        selected : the spectra as scored.
        scales, units : of the maps to come.
        key, target_id : (n,); None where they are not known.
        """
        known = {each.name: getattr(selected, each.name) for each in fields(selected)}
        known |= {name: ids for name, ids in (("key", key), ("target_id", target_id)) if ids is not None}
        sizes = _sizes(grid, scales)
        empty = {
            name: array.empty(len(selected), sizes) for name, array in ARRAYS.items() if name not in known
        }
        return cls(grid=grid, scales=tuple(scales), units=units, **known, **empty)

    def fill(
        self,
        index: int,
        found: Attribution,
        cause: Cause,
        measurement: Measurement,
        reconstruction: NDArray[np.floating],
        places: Sequence[Place],
        cautions: Caution,
    ) -> None:
        """Put in what a method found in the spectrum at ``index``, and what the model sees there."""
        self.maps[index], self.spread[index], self.combined[index] = found.maps, found.spread, found.combined
        if found.baseline is not None:
            self.baseline[index] = found.baseline
        self.explained_score[index] = found.score
        self.baseline_score[index] = found.baseline_score
        self.cause[index], self.cause_probability[index] = cause.name, cause.probability
        self.instrument_probability[index], self.other_class[index] = cause.instrument, cause.other_class
        for each in measurement.estimates:
            at = list(QUANTITIES).index(each.quantity.name)
            self.estimate[index, at], self.estimate_error[index, at] = each.value, each.error
        self.not_testable[index] = " ".join(measurement.not_testable)
        self.reconstruction[index] = reconstruction
        if measurement.template is not None:
            self.template[index] = measurement.template.cpu().numpy()
        self.trials[index] = trials_in(int((self.ivar[index] > 0).sum()))
        for each_field in fields(Place):
            getattr(self, f"place_{each_field.name}")[index, : len(places)] = [
                getattr(one, each_field.name) for one in places
            ]
        self.cautions[index] = cautions

    def one(self, index: int) -> Explanation:
        """The explanation at ``index``."""
        values = {name: getattr(self, name)[index] for name in ARRAYS}
        return Explanation.of(self.grid, self.scales, self.units, values)


ARRAYS: Mapping[str, ExplanationArray] = MappingProxyType(
    {each.name: each.metadata["array"] for each in fields(Explanations) if "array" in each.metadata}
)
"""The table: what a store keeps of an explanation, by the name of the field."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """One of n explanations: the fields of :class:`Explanations`, each without its first dimension.

    Raises
    ------
    ValueError : an array has another shape than the table says.
    """

    grid: WavelengthGrid
    scales: tuple[int, ...]
    units: Units
    row: int
    key: str
    target_id: int
    redshift: float
    model: int
    flux: NDArray[np.floating]
    ivar: NDArray[np.floating]
    baseline: NDArray[np.floating]
    maps: NDArray[np.floating]
    spread: NDArray[np.floating]
    combined: NDArray[np.floating]
    explained_score: float
    baseline_score: float
    cause: str
    cause_probability: float
    instrument_probability: float
    other_class: str
    estimate: NDArray[np.floating]
    estimate_error: NDArray[np.floating]
    not_testable: str
    reconstruction: NDArray[np.floating]
    template: NDArray[np.floating]
    trials: int
    place_wavelength: NDArray[np.floating]
    place_rest_wavelength: NDArray[np.floating]
    place_width: NDArray[np.floating]
    place_sign: NDArray[np.signedinteger]
    place_share: NDArray[np.floating]
    place_line: NDArray[Any]
    place_sigma: NDArray[np.floating]
    place_pixels: NDArray[np.signedinteger]
    cautions: int

    def __post_init__(self) -> None:
        _refuse_other_shapes(self, ())

    @classmethod
    def of(
        cls, grid: WavelengthGrid, scales: tuple[int, ...], units: Units, values: Mapping[str, Any]
    ) -> Self:
        """From the values of :data:`ARRAYS` by name, as NumPy or Zarr gives them for one row."""
        arrays = {name: np.asarray(value) for name, value in values.items()}
        plain: dict[str, Any] = {
            name: value if value.ndim else value.item() for name, value in arrays.items()
        }
        return cls(grid=grid, scales=scales, units=units, **plain)

    @property
    def wavelength(self) -> NDArray[np.float64]:
        """(N,) pixel centres, observed Angstrom."""
        return self.grid.wavelength()

    @property
    def named_cause(self) -> Cause:
        """What most likely made the spectrum odd."""
        return Cause(self.cause, self.cause_probability, self.instrument_probability, self.other_class)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """What the cause measured."""
        return stored_estimates(self.estimate, self.estimate_error)

    @property
    def not_testable_causes(self) -> str:
        """The causes that cannot be tested, in words."""
        return self.not_testable.replace(" ", ", ").replace("_", " ")

    def significance(self, spectra: int) -> Significance:
        """Of the first place, where so many spectra were looked at."""
        return Significance(float(self.place_sigma[0]), int(self.place_pixels[0]), self.trials, spectra)

    @property
    def places(self) -> tuple[Place, ...]:
        """The places, that of the highest peak first; none where the map is uniform."""
        return stored_places([getattr(self, f"place_{each.name}") for each in fields(Place)])


def _sizes(grid: WavelengthGrid, scales: Sequence[int]) -> dict[str, int]:
    return {
        "scale": len(scales),
        "wavelength": grid.size,
        "place": MOST_PLACES,
        "quantity": len(QUANTITIES),
    }


def stored_estimates(value: NDArray[np.floating], error: NDArray[np.floating]) -> tuple[Estimate, ...]:
    """From values and errors by quantity (Q,), NaN of what the cause does not measure."""
    every = zip(QUANTITIES.values(), value.tolist(), error.tolist(), strict=True)
    return tuple(Estimate(*each) for each in every if np.isfinite(each[1]))


def _refuse_other_shapes(explained: Explanations | Explanation, first: tuple[int, ...]) -> None:
    sizes = _sizes(explained.grid, explained.scales)
    wrong = []
    for name, array in ARRAYS.items():
        shape = np.shape(getattr(explained, name))
        if shape != (*first, *(sizes[dimension] for dimension in array.dims)):
            wrong.append(f"{name} {shape}")
    if wrong:
        what = f"a grid of {explained.grid.size} pixels with {len(explained.scales)} scales"
        raise ValueError(f"Not on {what}: {', '.join(wrong)}")
