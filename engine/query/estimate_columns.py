"""Estimate columns: what the causes of many explanations measured, as a query tells it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.attribution.explanation import stored_estimates
from engine.query.explained_rows import explained_rows
from engine.store.reading import StoreView
from models.causes.quantities import QUANTITIES

ESTIMATE_COLUMNS = tuple(f"estimate_{name}{part}" for name in QUANTITIES for part in ("", "_error"))
"""Numbers, in order."""


def estimate_columns(view: StoreView, outlier: pd.Series) -> dict[str, NDArray[Any]]:
    """``estimates``, a text, and :data:`ESTIMATE_COLUMNS` of these rows of ``outliers/`` (n,)."""
    value = explained_rows(view, "outliers/estimate", outlier)
    error = explained_rows(view, "outliers/estimate_error", outlier)
    columns: dict[str, NDArray[Any]] = {}
    for number, name in enumerate(QUANTITIES):
        columns[f"estimate_{name}"] = value[:, number]
        columns[f"estimate_{name}_error"] = error[:, number]
    told = ["; ".join(map(str, stored_estimates(*each))) for each in zip(value, error, strict=True)]
    return {"estimates": np.array(told, dtype=object), **columns}
