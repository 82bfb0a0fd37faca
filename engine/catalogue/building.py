"""Building of a catalogue: what the ledger has and it lacks is read from the arrays and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.catalogue.block_tables import BlockArrays, block_table
from engine.catalogue.columns import OUTLIER, ROW, catalogue_columns, columns_digest
from engine.catalogue.name_filter import name_filter
from engine.store.blocks import BlockKind, BlockResult, WrittenObject
from engine.store.catalogue_manifest import (
    FOLDER,
    MANIFEST,
    VERSION,
    CatalogueFile,
    CatalogueManifest,
    CataloguePart,
    Content,
    HeldBlock,
    check_identity,
    file_path,
    is_file_path,
    names_path,
    read_manifest,
    save_manifest,
)
from engine.store.ledger import result_digest
from engine.store.objects import ObjectTree
from engine.store.reading import StoreView
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from models.digests import digest_of
from models.errors import StoreError

PART_ROWS = 2**19
"""Rows of a part, above which no further block joins it: half a gigabyte while it is made."""

_GROUP_ROWS: Mapping[Content, int] = MappingProxyType(
    {"outliers": 2**13, "others": 2**15, "explanations": 2**13}
)
"""Rows of a row group: what a look-up of one spectrum decodes. Statistics of many groups cost, too."""

_KINDS: tuple[BlockKind, ...] = ("score", "attribution")

Progress = Callable[[int, int], None]
"""Called with the rows written so far and of all to write."""


@dataclass(frozen=True, slots=True)
class CatalogueUpdate:
    """What an update did.

    Attributes
    ----------
    rows, parts, bytes : of the catalogue now; spectra and explanations are rows.
    written : rows that were written by the update.
    anew : why all of it was made anew; empty where it was not.
    """

    rows: int
    parts: int
    bytes: int
    written: int
    anew: str

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return asdict(self)


def update_catalogue(
    store: Store,
    snapshot: Snapshot,
    progress: Progress | None = None,
    *,
    anew: str = "",
    arrays: BlockArrays | None = None,
) -> CatalogueUpdate:
    """Write what the catalogue lacks; a catalogue that is damaged or of another store is made anew.

    For the process that holds the store's lock. A kill leaves the former catalogue. Files that the former
    manifest does not name are deleted first; those that this update replaces stay until the next, because
    somebody may be reading them.

    Parameters
    ----------
    snapshot : the ledger as it is.
    anew : why nothing of the former catalogue is kept; empty to keep what is good.
    arrays : what the values come from; None for the store's arrays.

    Raises
    ------
    StoreError : an array of the store is damaged.
    RetryError : writing failed in a way that may pass.
    """
    former, anew = _former(store, anew)
    there = store.objects.sizes(FOLDER)
    named = former.objects if former is not None else {}
    store.objects.delete(path for path in there if is_file_path(path) and path not in named)
    kept = [part for part in former.parts if _is_good(part, snapshot, there)] if former is not None else []
    work = {kind: _work(kind, kept, snapshot) for kind in _KINDS}
    total = sum(_spectra(_results(snapshot, kind), work[kind].blocks) for kind in _KINDS)
    parts = [part for kind in _KINDS for part in work[kind].kept]
    if total or former is None or len(parts) < len(former.parts):
        own = StoreView(store.objects, store.configuration, snapshot.scored, snapshot.explained, {})
        builder, written = _Builder(store, snapshot, arrays or own), 0
        for kind in _KINDS:
            for blocks in _portions(_results(snapshot, kind), work[kind].blocks):
                parts.append(builder.part(kind, blocks))
                written += parts[-1].rows
                if progress is not None:
                    progress(written, total)
        parts.sort(key=lambda part: (_KINDS.index(part.kind), part.blocks[0].index))
        configuration = store.configuration
        manifest = CatalogueManifest(
            VERSION, configuration.digest, columns_digest(configuration), tuple(parts)
        )
        store.ledger.guard()
        save_manifest(store.objects, manifest)
    return CatalogueUpdate(
        rows=sum(part.rows for part in parts),
        parts=len(parts),
        bytes=sum(each.bytes for part in parts for each in part.objects),
        written=total,
        anew=anew,
    )


def withdraw_blocks(store: Store, blocks: Iterable[tuple[BlockKind, int]]) -> None:
    """Take the parts that hold these blocks out of the catalogue, before their ledger entries are replaced.

    Until the next update, queries read these blocks from the arrays. A damaged manifest is deleted.
    """
    gone = set(blocks)
    store.ledger.guard()
    try:
        found = read_manifest(store.objects, store.configuration)
    except StoreError:
        store.objects.delete([MANIFEST])
        return
    if found is None:
        return
    kept = [
        part for part in found.parts if gone.isdisjoint((part.kind, block.index) for block in part.blocks)
    ]
    if len(kept) < len(found.parts):
        save_manifest(store.objects, replace(found, parts=tuple(kept)))


def withdraw(store: Store) -> None:
    """Delete the manifest of the catalogue: the next update makes all of it anew."""
    store.ledger.guard()
    store.objects.delete([MANIFEST])


def _former(store: Store, anew: str) -> tuple[CatalogueManifest | None, str]:
    """The catalogue that is there, if anything of it can be kept, and why not."""
    try:
        found = read_manifest(store.objects, store.configuration)
        if found is not None:
            check_identity(store.objects, found, store.ledger.plan_digests())
    except StoreError as error:
        return None, f"{error.what} {error.got}"
    if found is None or anew:
        return None, anew
    if (found.version, found.columns) != (VERSION, columns_digest(store.configuration)):
        return None, "another version of whyspec made it"
    return found, ""


def _is_good(part: CataloguePart, snapshot: Snapshot, there: Mapping[str, int]) -> bool:
    whole = all(there.get(each.path) == each.bytes for each in part.objects)
    return whole and part.was_made_of(_results(snapshot, part.kind))


def _results(snapshot: Snapshot, kind: BlockKind) -> Mapping[int, BlockResult]:
    return snapshot.scored if kind == "score" else snapshot.explained


def _spectra(results: Mapping[int, BlockResult], blocks: Iterable[int]) -> int:
    return sum(results[block].spectra for block in blocks)


@dataclass(frozen=True, slots=True)
class _Work:
    """Parts of a kind that stay, and the blocks that new parts are made of, ascending."""

    kept: tuple[CataloguePart, ...]
    blocks: tuple[int, ...]


def _work(kind: BlockKind, good: Sequence[CataloguePart], snapshot: Snapshot) -> _Work:
    """What is to be done of one kind. Small parts at the end join what is new, lest there be ever more.

    A part joins if it is no larger than what is new: so each row is written a few times at most, however
    many small runs there are.
    """
    results = _results(snapshot, kind)
    kept = [part for part in good if part.kind == kind]
    covered = {block.index for part in kept for block in part.blocks}
    blocks = [index for index in results if index not in covered]
    new = _spectra(results, blocks)
    while kept and 0 < kept[-1].rows <= new <= PART_ROWS - kept[-1].rows:
        part = kept.pop()
        blocks += [block.index for block in part.blocks]
        new += part.rows
    return _Work(tuple(kept), tuple(sorted(blocks)))


def _portions(results: Mapping[int, BlockResult], blocks: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Blocks for one part each."""
    portion: list[int] = []
    rows = 0
    for block in blocks:
        portion.append(block)
        rows += results[block].spectra
        if rows >= PART_ROWS:
            yield tuple(portion)
            portion, rows = [], 0
    if portion:
        yield tuple(portion)


class _Builder:
    """Makes parts of finished blocks of a store."""

    def __init__(self, store: Store, snapshot: Snapshot, arrays: BlockArrays) -> None:
        self._store, self._snapshot, self._arrays = store, snapshot, arrays
        self._sizes = {kind: store.ledger.finished(kind) for kind in _KINDS}

    def part(self, kind: BlockKind, blocks: tuple[int, ...]) -> CataloguePart:
        """A part, whose files are durable."""
        table = block_table(self._arrays, kind, blocks, catalogue_columns(kind, self._store.configuration))
        files = [
            _written(self._store.objects, content, table.take(pa.array(rows)))
            for content, rows in _contents(kind, table).items()
            if len(rows)
        ]
        results = _results(self._snapshot, kind)
        held = (HeldBlock(block, self._sizes[kind][block], result_digest(results[block])) for block in blocks)
        plans = sorted({results[block].plan for block in blocks})
        names = _names_written(self._store.objects, table) if kind == "score" else None
        return CataloguePart(kind, tuple(held), tuple(plans), tuple(files), names)


def _contents(kind: BlockKind, table: pa.Table) -> dict[Content, NDArray[np.int64]]:
    """Rows of each file in their order: spectra by TARGETID, explanations by spectrum."""
    if kind == "attribution":
        return {"explanations": np.lexsort([table[name].to_numpy() for name in (OUTLIER, ROW)])}
    order = np.argsort(table["target_id"].to_numpy(), kind="stable")
    outlier = table["outlier"].to_numpy()[order]
    return {"outliers": order[outlier], "others": order[~outlier]}


def _written(objects: ObjectTree, content: Content, table: pa.Table) -> CatalogueFile:
    data = encoded(table, _GROUP_ROWS[content])
    return CatalogueFile(content, table.num_rows, objects.put(file_path(digest_of(data)), data))


def _names_written(objects: ObjectTree, spectra: pa.Table) -> WrittenObject:
    """The filter of identifiers and keys, by which spectra are asked for."""
    data = name_filter(chain(map(str, spectra["target_id"].to_pylist()), spectra["key"].to_pylist()))
    return objects.put(names_path(digest_of(data)), data)


def encoded(table: pa.Table, group_rows: int) -> bytes:
    """A table as the bytes of a Parquet file of the catalogue, with so many rows in a group."""
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream, compression="snappy", row_group_size=group_rows)
    content: bytes = stream.getvalue().to_pybytes()
    return content
