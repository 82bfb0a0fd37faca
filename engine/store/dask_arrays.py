"""Arrays of a store as Dask arrays, for work on all of it. The store's only use of Dask."""

from __future__ import annotations

import dask.array as da

from engine.store.reading import StoreView
from engine.store.schema import BY_PATH
from engine.store.stored_arrays import open_array
from models.errors import ErrorKind, InputError


def dask_array(view: StoreView, path: str) -> da.Array:
    """The committed, non-padding part of an array, e.g. ``"outliers/combined"``, read when needed.

    Chunks are whole blocks (whole shards), so each object is read once. The rows are those of
    :meth:`StoreView.outliers_table` or :meth:`StoreView.table`, in the same order.

    Raises
    ------
    InputError : the schema has no such array.
    """
    if path not in BY_PATH:
        raise InputError(
            "The store has no array of that path.",
            where=view.url,
            got=path,
            allowed=", ".join(BY_PATH),
            remedy="Choose among the allowed paths.",
            kind=ErrorKind.NO_COLUMN,
        )
    spec = BY_PATH[path]
    ranges = view.row_ranges if spec.kind == "score" else view.outlier_ranges
    rows = max((stop for _, stop in ranges), default=0)
    array = open_array(view.objects_of(path), view.configuration, path, rows)
    shard = spec.shard_shape(view.configuration)
    # Names are random rather than hashed: hashing would read the store.
    lazy: da.Array = da.from_array(array, chunks=shard, name=False, lock=False)  # type: ignore[no-untyped-call]
    parts = [lazy[start:stop] for start, stop in ranges]
    joined: da.Array = da.concatenate(parts or [lazy[:0]], axis=0)  # type: ignore[no-untyped-call]
    return joined
