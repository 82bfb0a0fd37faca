"""Reading of a catalogue: tables of SQL over its good parts and, of what they lack, the store's arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from engine.catalogue.block_tables import block_table
from engine.catalogue.columns import OUTLIER, ROW, CatalogueColumn, catalogue_columns, columns_digest
from engine.catalogue.connection import connected, literal
from engine.catalogue.name_filter import BLOCK_BYTES, block_start, may_hold
from engine.catalogue.remote_files import THREADS, RemoteFiles, remote_name
from engine.store.blocks import BlockKind
from engine.store.catalogue_manifest import (
    FOLDER,
    VERSION,
    CataloguePart,
    Content,
    catalogue_damaged,
    check_identity,
    read_manifest,
)
from engine.store.entries import RUN_SET
from engine.store.objects import ObjectTree
from engine.store.reading import StoreView
from engine.store.schema import FLAGS
from models.errors import WhyspecError

_KINDS: tuple[BlockKind, ...] = ("score", "attribution")
_CONTENTS: Mapping[BlockKind, tuple[Content, ...]] = MappingProxyType(
    {"score": ("outliers", "others"), "attribution": ("explanations",)}
)

_OWN_FAULTS = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.OutOfMemoryException,
)
"""What DuckDB raises of a statement, not of a file."""


_BATCH_ROWS = 2**18


@dataclass(frozen=True)
class Catalogue:
    """A store's catalogue as far as it is of what a view of the store sees.

    Attributes
    ----------
    view : the store.
    parts : parts all of whose blocks the view sees, with the ledger entries that they were made of.
    lacking : the view's other blocks, by kind: they are read from the arrays.
    """

    view: StoreView
    parts: tuple[CataloguePart, ...]
    lacking: Mapping[BlockKind, tuple[int, ...]]

    @classmethod
    def of(cls, view: StoreView) -> Catalogue:
        """The catalogue of a store. There may be none: then all of the store is lacking.

        Raises
        ------
        StoreError : it is damaged, or of another store.
        """
        objects, configuration = view.objects, view.of_runs.configuration
        manifest = read_manifest(objects, configuration)
        listed = {kind: view.entry_sizes(kind) for kind in _KINDS}
        parts: tuple[CataloguePart, ...] = ()
        if manifest is not None and manifest.parts:
            check_identity(objects, manifest, view.plan_digests())
            if (manifest.version, manifest.columns) == (VERSION, columns_digest(configuration)):
                # Of explanations it has those of the runs alone.
                parts = tuple(
                    part
                    for part in manifest.parts
                    if part.kind in _kinds(view) and part.is_of(listed[part.kind])
                )
                _check_files(view, parts)
        covered = {(part.kind, block.index) for part in parts for block in part.blocks}
        lacking = {
            kind: tuple(index for index in listed[kind] if (kind, index) not in covered) for kind in _KINDS
        }
        return cls(view, parts, MappingProxyType(lacking))

    def holding(self, names: Sequence[str]) -> Catalogue:
        """It without parts whose spectra have none of these identifiers (as stored) and keys.

        What it lacks stays, and so do parts without a filter.

        Raises
        ------
        StoreError : a filter is damaged.
        """
        filters = [part.names for part in self.parts if part.names is not None]
        asked = [(each, name, block_start(name, each.bytes)) for each in filters for name in names]
        blocks = self.view.objects.ranges([(each.path, at, at + BLOCK_BYTES) for each, _, at in asked])
        found = {
            each.path
            for (each, name, _), block in zip(asked, blocks, strict=True)
            if self._may_hold(each.path, block, name)
        }
        parts = (part for part in self.parts if part.names is None or part.names.path in found)
        return replace(self, parts=tuple(parts))

    def _may_hold(self, path: str, block: bytes, name: str) -> bool:
        try:
            return may_hold(block, name)
        except ValueError as error:
            raise catalogue_damaged(f"{self.view.url}/{path}", error) from error

    @property
    def lacking_blocks(self) -> int:
        """Finished blocks that it lacks, and that an update of it would add."""
        return sum(len(self.lacking[kind]) for kind in _kinds(self.view))

    @contextmanager
    def tables(self) -> Iterator[CatalogueTables]:
        """Its tables, for SQL.

        Raises
        ------
        StoreError : within the block, where a file is damaged.
        """
        files = {file.object.path: file.object.bytes for part in self.parts for file in part.files}
        remote = None if self.view.objects.is_local else RemoteFiles(self.view.objects, files)
        names = [file_name(self.view.objects, path) for path in files]
        with connected(names, 0 if remote is None else THREADS, remote) as connection:
            yield CatalogueTables(self, connection, remote)


class CatalogueTables:
    """SQL over a catalogue by one connection."""

    def __init__(self, catalogue: Catalogue, connection: Any, remote: RemoteFiles | None) -> None:
        self._catalogue, self._connection, self._remote = catalogue, connection, remote
        self._registered = 0
        self._lacking: dict[tuple[BlockKind, tuple[str, ...]], str] = {}
        self._flags: dict[str, str] = {flag: self._flag_rows(flag) for flag in FLAGS}

    def spectra(self, columns: Sequence[str], *, outliers_only: bool) -> str:
        """A SELECT of columns of all spectra, or of all outliers; the flags are columns, too.

        ``row`` is always among them.
        """
        wanted = dict.fromkeys((ROW, *columns))
        stored = [name for name in wanted if name not in FLAGS]
        contents = _CONTENTS["score"][: 1 if outliers_only else None]
        # What is lacking is read with all of its rows.
        also = [] if not outliers_only or "outlier" in wanted else ["outlier"]
        source = self._source("score", [*stored, *also], contents)
        shown = ", ".join(self._flags[name] if name in FLAGS else f'"{name}"' for name in wanted)
        return f"SELECT {shown} FROM {source} AS stored{' WHERE outlier' if outliers_only else ''}"

    def explanations(self, columns: Sequence[str], among: str = "") -> str:
        """A SELECT of columns of the latest explanation of each spectrum, the row of either first.

        Parameters
        ----------
        among : table with a column ``row``: of these spectra alone; empty for all.
        """
        wanted = list(dict.fromkeys((ROW, OUTLIER, *columns)))
        source = self._source("attribution", wanted, _CONTENTS["attribution"])
        names = ", ".join(f'"{name}"' for name in wanted)
        where = f" WHERE {ROW} IN (SELECT {ROW} FROM {among})" if among else ""
        sql = f"SELECT {names} FROM {source} AS explained{where}"
        if not among and not self._any_is_explained_twice:
            return sql
        return f"{sql} QUALIFY row_number() OVER (PARTITION BY {ROW} ORDER BY {OUTLIER} DESC) = 1"

    def register(self, table: pa.Table) -> str:
        """A name for a table of the caller's."""
        self._registered += 1
        name = f"given_{self._registered}"
        self._connection.register(name, table)
        return name

    def fetch(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The answer to a SELECT.

        Raises
        ------
        StoreError : a file of the catalogue is damaged.
        """
        with self._decoding():
            return self._connection.sql(sql, params=list(parameters)).to_arrow_table()

    def batches(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[pa.RecordBatch]:
        """The answer to a SELECT in parts, so that it never is in memory as a whole; take all of them.

        Raises
        ------
        StoreError : a file of the catalogue is damaged.
        """
        with self._decoding():
            yield from self._connection.sql(sql, params=list(parameters)).to_arrow_reader(_BATCH_ROWS)

    @cached_property
    def _any_is_explained_twice(self) -> bool:
        """Whether a spectrum has several explanations: rare, and to look is cheaper than to sort them all."""
        source = self._source("attribution", [ROW], _CONTENTS["attribution"])
        sql = f"SELECT 1 FROM {source} AS explained GROUP BY {ROW} HAVING count(*) > 1 LIMIT 1"
        return bool(self.fetch(sql).num_rows)

    def _source(self, kind: BlockKind, columns: Sequence[str], contents: Sequence[Content]) -> str:
        """What a FROM takes: these columns of the files of some contents, and of what is lacking."""
        names = ", ".join(f'"{name}"' for name in columns)
        selects = [f"SELECT {names} FROM {each}" for each in self._files(contents)]
        lacking = self._catalogue.lacking[kind]
        if lacking or not selects:
            selects.append(f"SELECT {names} FROM {self._table_of_lacking(kind, columns)}")
        return f"({' UNION ALL '.join(selects)})"

    def _table_of_lacking(self, kind: BlockKind, columns: Sequence[str]) -> str:
        """A name for these columns of the blocks that the catalogue lacks, read once."""
        asked = (kind, tuple(sorted(columns)))
        if asked not in self._lacking:
            chosen = [column for column in self._columns(kind) if column.name in columns]
            table = block_table(self._catalogue.view, kind, self._catalogue.lacking[kind], chosen)
            self._lacking[asked] = self.register(table)
        return self._lacking[asked]

    def _files(self, contents: Sequence[Content]) -> Iterator[str]:
        objects = self._catalogue.view.objects
        files = (file for part in self._catalogue.parts for file in part.files if file.content in contents)
        if names := [literal(file_name(objects, file.object.path)) for file in files]:
            yield f"read_parquet([{', '.join(names)}])"

    def _columns(self, kind: BlockKind) -> tuple[CatalogueColumn, ...]:
        return catalogue_columns(kind, self._catalogue.view.configuration)

    def _flag_rows(self, flag: str) -> str:
        """SQL of a flag, from the ledger: it changes after blocks are finished, so no file holds it."""
        rows = self._catalogue.view.flagged[flag]
        if not len(rows):
            return f"false AS {flag}"
        table = self.register(pa.table({"flagged": rows.astype(np.int64)}))
        return f"({ROW} IN (SELECT flagged FROM {table})) AS {flag}"

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except (WhyspecError, *_OWN_FAULTS):
            raise
        except duckdb.Error as error:  # whatever a decoder raises, the bytes are at fault
            if self._remote is not None and isinstance(self._remote.fault, WhyspecError):
                raise self._remote.fault from None
            where = f"{self._catalogue.view.url}/{FOLDER}"
            raise catalogue_damaged(where, str(error).partition("\n")[0]) from error


def _kinds(view: StoreView) -> tuple[BlockKind, ...]:
    """Kinds of the view's blocks that a catalogue may hold."""
    return _KINDS if view.explanation == RUN_SET else ("score",)


def file_name(objects: ObjectTree, path: str) -> str:
    """What DuckDB calls a file of a store's catalogue."""
    return str(Path(objects.root) / path) if objects.is_local else remote_name(path)


def _check_files(view: StoreView, parts: Sequence[CataloguePart]) -> None:
    """Refuse parts whose files are not there in full."""
    there = view.objects.sizes(FOLDER) if parts else {}
    for part in parts:
        for each in part.objects:
            size, written = there.get(each.path), each.bytes
            if size != written:
                got = "there is no such object" if size is None else f"{size} bytes, recorded are {written}"
                raise catalogue_damaged(f"{view.url}/{each.path}", got)
