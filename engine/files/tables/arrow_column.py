"""Arrow columns as plain arrays with what is known of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from engine.files.tables.contents import plain


def values_of(column: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(n,) values and (n,) whether they are known; integers never pass through floating-point numbers.

    Raises
    ------
    ValueError : they are neither numbers, booleans nor texts.
    """
    known = np.asarray(column.is_valid().combine_chunks(), dtype=np.bool_)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        filling: object = ""
    elif pa.types.is_boolean(kind):
        filling = False
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        filling = 0
    else:
        raise ValueError(f"a column of {kind}")
    filled = pa.compute.fill_null(column, pa.scalar(filling, type=kind))
    return plain(filled.to_numpy()), known
