"""Arrays of places for explanations that tests make up: one place each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.places import MOST_PLACES
from models.lines import line_of_feature

WIDTH = 12.0


def place_arrays(wavelength: NDArray[np.float64], redshift: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Fields of ``Explanations`` with an excess 12 Angstrom wide at ``wavelength`` (n,); NaN for no place."""
    shape = (len(wavelength), MOST_PLACES)
    rest, there = wavelength / (1 + redshift), np.isfinite(wavelength)
    lines = [line_of_feature(place, WIDTH / (1 + z)) for place, z in zip(rest, redshift, strict=True)]
    first: dict[str, tuple[object, str, NDArray[Any]]] = {
        "wavelength": (np.nan, "float64", wavelength),
        "rest_wavelength": (np.nan, "float64", rest),
        "width": (np.nan, "float32", np.where(there, WIDTH, np.nan)),
        "sign": (0, "int8", np.where(there, 1, 0)),
        "share": (np.nan, "float32", np.where(there, 0.5, np.nan)),
        "line": ("", "object", np.array([line.name if line else "" for line in lines], dtype=object)),
        "sigma": (np.nan, "float32", np.where(there, 7.25, np.nan)),
        "pixels": (0, "int32", np.where(there, 15, 0)),
    }
    arrays = {}
    for name, (fill, dtype, values) in first.items():
        arrays[f"place_{name}"] = np.full(shape, fill, dtype)
        arrays[f"place_{name}"][:, 0] = values
    return arrays
