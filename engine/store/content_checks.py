"""Checks of the values in a store's arrays: counts, outliers and keys against the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.attribution.cautions import counted
from engine.store.blocks import BlockResult
from engine.store.evidence import AGAIN, Evidence, Fault, some
from engine.store.ledger import plan_path, result_path
from engine.store.schema import BY_PATH
from engine.store.stored_arrays import open_array
from models.errors import StoreError
from models.row_status import RowStatus

_SCORE_ARRAYS = (
    "spectra/status",
    "spectra/key",
    "scores/outlier",
)


def content_faults(evidence: Evidence, bad: set[str]) -> Iterator[Fault]:
    """Counts and keys in the arrays against the entries; arrays with a bad object are left out."""
    hashes: list[NDArray[np.uint64]] = []
    rows: list[NDArray[np.int64]] = []
    for result in evidence.snapshot.scored.values():
        try:
            faults, seen = _score_content(evidence, result, bad)
        except StoreError as error:
            faults, seen = [_unreadable(result, error)], None
        yield from faults
        if seen is not None:
            hashes.append(seen[0])
            rows.append(seen[1])
    if hashes:
        yield from _duplicates(evidence, np.concatenate(hashes), np.concatenate(rows))
    for result in evidence.snapshot.explained.values():
        try:
            yield from _attribution_content(evidence, result, bad)
        except StoreError as error:
            yield _unreadable(result, error)
    yield from _explained_twice(evidence)


def _score_content(
    evidence: Evidence, result: BlockResult, bad: set[str]
) -> tuple[list[Fault], tuple[NDArray[np.uint64], NDArray[np.int64]] | None]:
    """Faults of a score block, and hashed keys and rows of the spectra that must be unique."""
    entry = result_path(result.kind, result.index)
    if evidence.has_no_data(result):
        return [_block_missing(result)], None
    if not all(_is_whole(path, result.index, bad) for path in _SCORE_ARRAYS):
        return [], None
    status, key, outlier = (_block(evidence, path, result.index) for path in _SCORE_ARRAYS)
    first = result.index * evidence.configuration.block_rows
    faults = []
    counts = Counter(_label(code) for code in status.tolist() if code != RowStatus.PADDING)
    if tuple(sorted(counts.items())) != result.status_counts or counts.total() != result.spectra:
        what = f"status holds {dict(sorted(counts.items()))}, recorded are {dict(result.status_counts)}"
        faults.append(Fault("count-mismatch", entry, what, AGAIN))
    flagged = tuple((np.flatnonzero(outlier) + first).tolist())
    if flagged != result.outliers:
        what = f"{len(flagged)} rows are flagged as outliers, recorded are {len(result.outliers)}"
        faults.append(Fault("outlier-mismatch", entry, what, AGAIN))
    superseded = np.zeros(len(status), dtype=np.bool_)
    replaced = evidence.snapshot.flagged["superseded"].get(result.index)
    if replaced is not None:
        superseded[replaced.rows - first] = True
    read = ~np.isin(status, [RowStatus.PADDING, RowStatus.FILE_UNREADABLE, RowStatus.REPEATED_TARGET])
    # A place in a file, which has a #, is no spectrum of anything: several files may have the same.
    placed = np.array(["#" in each for each in key.tolist()], dtype=np.bool_)
    unique = np.flatnonzero(read & ~superseded & ~placed)
    hashes = pd.util.hash_array(key[unique].astype(object), categorize=False)
    return faults, (hashes, unique + first)


def _duplicates(evidence: Evidence, hashes: NDArray[np.uint64], rows: NDArray[np.int64]) -> Iterator[Fault]:
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    suspects = np.unique(rows[order][np.concatenate([same, [False]]) | np.concatenate([[False], same])])
    if not len(suspects):
        return
    keys = open_array(evidence.objects, evidence.configuration, "spectra/key").rows(suspects)
    by_key: dict[str, list[int]] = {}
    for key, row in zip(keys.tolist(), suspects.tolist(), strict=True):
        by_key.setdefault(str(key), []).append(row)
    twice = {key: places for key, places in by_key.items() if len(places) > 1}
    if twice:
        shown = some(f"{key} (rows {' and '.join(map(str, places))})" for key, places in twice.items())
        yield Fault(
            "duplicate-key",
            "spectra/key",
            f"{len(twice)} spectra are stored more than once: {shown}",
            "Two sources that were run into this store hold the same spectra: make a store of one of them.",
        )


def _attribution_content(evidence: Evidence, result: BlockResult, bad: set[str]) -> Iterator[Fault]:
    if evidence.has_no_data(result):
        yield _block_missing(result)
        return
    if not _is_whole("outliers/row", result.index, bad):
        return
    entry = result_path(result.kind, result.index)
    stored = _block(evidence, "outliers/row", result.index)
    rows = tuple(stored[stored >= 0].tolist())
    if len(rows) != result.spectra:
        what = f"{len(rows)} explanations are stored, recorded are {result.spectra}"
        yield Fault("count-mismatch", entry, what, AGAIN)
    if _is_whole("outliers/cautions", result.index, bad):
        counts = counted(_block(evidence, "outliers/cautions", result.index)[stored >= 0])
        if counts != result.caution_counts:
            what = f"cautions hold {dict(counts)}, recorded are {dict(result.caution_counts)}"
            yield Fault("count-mismatch", entry, what, AGAIN)
    if rows != evidence.planned_rows.get((result.plan, result.index), rows):
        yield Fault("outlier-mismatch", entry, "explains other rows than were planned", AGAIN)
    per_block = evidence.configuration.block_rows
    blocks = {row // per_block for row in rows} & set(evidence.scored)
    outliers = {row for block in blocks for row in evidence.scored[block].outliers}
    lost = [row for row in rows if row not in outliers]
    if lost:
        what = f"{len(lost)} explained rows are not outliers of a finished score block, e.g. {some(lost)}"
        remedy = "Run again, or 'whyspec verify --repair': the score blocks are then completed."
        yield Fault("not-an-outlier", entry, what, remedy)


def _explained_twice(evidence: Evidence) -> Iterator[Fault]:
    plans = evidence.snapshot.attribution_plans
    counts = Counter(row for plan in plans for row in plan.rows)
    twice = [row for row, count in counts.items() if count > 1]
    if twice:
        path = min(map(plan_path, plans))
        what = f"{len(twice)} rows are planned to be explained more than once, e.g. {some(twice)}"
        yield Fault("duplicate-explanation", path, what, "Restore ledger/plans from a copy of the store.")


def _is_whole(path: str, index: int, bad: set[str]) -> bool:
    return f"{path}/zarr.json" not in bad and BY_PATH[path].object_path(index) not in bad


def _block(evidence: Evidence, path: str, index: int) -> NDArray[Any]:
    length = BY_PATH[path].shard_shape(evidence.configuration)[0]
    start, stop = index * length, (index + 1) * length
    return open_array(evidence.objects, evidence.configuration, path, stop)[start:stop]


def _label(code: int) -> str:
    return RowStatus(code).label if code in set(RowStatus) else f"status {code}"


def _unreadable(result: BlockResult, error: StoreError) -> Fault:
    """An array that has the bytes that were recorded, and cannot be decoded."""
    path = result_path(result.kind, result.index)
    return Fault(error.kind.value, path, f"{error.where.rpartition('/')[2]}: {error.got}", AGAIN)


def _block_missing(result: BlockResult) -> Fault:
    path = result_path(result.kind, result.index)
    return Fault("data-missing", path, "none of the block's objects is there", AGAIN)
