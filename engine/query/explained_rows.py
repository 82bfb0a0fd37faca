"""Rows of an array of explanations, for spectra that have one and others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.store.reading import StoreView
from engine.store.schema import BY_PATH


def explained_rows(view: StoreView, path: str, outlier: pd.Series) -> NDArray[Any]:
    """The array at ``path`` for these rows of ``outliers/`` (n,), (n, ...); its filling where one is NaN."""
    known = outlier.notna().to_numpy()
    where = np.searchsorted(view.outlier_numbers, outlier[known].to_numpy(np.int64))
    spec = BY_PATH[path]
    values = view.read(path)
    found = np.full(
        (len(outlier), *values.shape[1:]), spec.fill, object if spec.dtype == "string" else spec.dtype
    )
    found[known] = values[where]
    return found
