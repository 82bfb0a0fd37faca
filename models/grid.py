"""Wavelength grids: the fixed pixels of an instrument's spectra, models and stores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import ConfigurationError, ErrorKind

MOST_PIXELS = 2**20
"""Pixels of a grid: a hundred times those of a spectrograph."""

_FARTHEST = 1e9


@dataclass(frozen=True, slots=True)
class WavelengthGrid:
    """A regular grid of vacuum wavelengths, barycentric or heliocentric as the survey publishes.

    Attributes
    ----------
    name : short, that of the survey whose spectra are on it.
    spacing : ``"linear"`` (start and step in Angstrom) or ``"log10"`` (in log10 of Angstrom).
    start : first pixel centre, in the units of ``spacing``.
    step : distance between pixel centres, in the units of ``spacing``.
    size : number of pixels.
    """

    name: str
    spacing: Literal["linear", "log10"]
    start: float
    step: float
    size: int

    def wavelength(self) -> NDArray[np.float64]:
        """Pixel centres in Angstrom, shape (size,)."""
        return self.wavelength_at(np.arange(self.size, dtype=np.float64))

    def wavelength_at(self, pixel: NDArray[np.float64]) -> NDArray[np.float64]:
        """Wavelengths in Angstrom of fractional pixel indices: the inverse of :meth:`pixel`."""
        coordinate = self.start + self.step * pixel
        return coordinate if self.spacing == "linear" else np.power(10.0, coordinate)

    def pixel(self, wavelength: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Fractional pixel index of wavelengths in Angstrom (0 is the first pixel's centre)."""
        value = np.asarray(wavelength, dtype=np.float64)
        coordinate = value if self.spacing == "linear" else np.log10(value)
        return (coordinate - self.start) / self.step

    def width(self, wavelength: NDArray[np.float64] | float, pixels: ArrayLike) -> NDArray[np.float64]:
        """Width in Angstrom of ``pixels`` pixels whose centre is at ``wavelength``, in Angstrom."""
        count = np.asarray(pixels, dtype=np.float64)
        if self.spacing == "linear":
            return count * self.step + 0.0 * np.asarray(wavelength, dtype=np.float64)
        half = 0.5 * self.step * count
        return np.asarray(wavelength * (np.power(10.0, half) - np.power(10.0, -half)))

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; :meth:`from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, description: dict[str, object]) -> WavelengthGrid:
        """The grid that :meth:`to_dict` described.

        Raises
        ------
        ConfigurationError : a field is missing or of the wrong kind.
        """
        try:
            spacing = str(description["spacing"])
            if spacing not in ("linear", "log10"):
                raise ValueError(spacing)
            grid = cls(
                name=str(description["name"]),
                spacing="linear" if spacing == "linear" else "log10",
                start=float(str(description["start"])),
                step=float(str(description["step"])),
                size=int(str(description["size"])),
            )
            if not 2 <= grid.size <= MOST_PIXELS or not grid.step > 0 or not 0 < grid.start < _FARTHEST:
                raise ValueError(grid)
            if not np.isfinite(grid.wavelength()[-1]):
                raise ValueError(grid)
            return grid
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                "A wavelength grid's description is incomplete or wrong.",
                got=description,
                allowed=f"name, spacing (linear, log10), start and step above 0, size 2 to {MOST_PIXELS:,}",
                remedy="The model card or store is damaged: take it anew from where it was made.",
                kind=ErrorKind.GRID_DESCRIPTION,
            ) from error
