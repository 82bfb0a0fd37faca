"""Place columns: the places of many explanations, as a query compares and tells them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.attribution.places import Place, stored_places
from engine.query.explained_rows import explained_rows
from engine.store.reading import StoreView


@dataclass(frozen=True, eq=False)
class PlaceColumns:
    """Fields of :class:`engine.attribution.places.Place` of n spectra, (n, P); fill values where is none."""

    wavelength: NDArray[np.float64]
    rest_wavelength: NDArray[np.float64]
    width: NDArray[np.float32]
    sign: NDArray[np.int8]
    share: NDArray[np.float32]
    line: NDArray[np.object_]
    sigma: NDArray[np.float32]
    pixels: NDArray[np.int32]

    @classmethod
    def read(cls, view: StoreView, outlier: pd.Series) -> PlaceColumns:
        """Of these rows of ``outliers/`` (n,); NaN where a spectrum has no explanation."""
        return cls(*(explained_rows(view, f"outliers/place_{each.name}", outlier) for each in fields(Place)))

    def first(self) -> dict[str, NDArray[Any]]:
        """Columns of a query's answer about the first place of each spectrum."""
        sign = self.sign[:, 0]
        return {
            "place_wavelength": self.wavelength[:, 0],
            "place_rest_wavelength": self.rest_wavelength[:, 0],
            "place_width": self.width[:, 0],
            "flux": np.select([sign > 0, sign < 0], ["excess", "deficit"], ""),
            "share": self.share[:, 0],
            "line": self.line[:, 0],
            "sigma": self.sigma[:, 0],
            "pixels": self.pixels[:, 0],
        }

    def text(self, number: int) -> str:
        """All places of one spectrum in words."""
        return "; ".join(
            map(str, stored_places([getattr(self, each.name)[number] for each in fields(Place)]))
        )
