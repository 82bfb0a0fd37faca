"""Manifest of a store's catalogue: its immutable parts, and the finished blocks that each was made of.

The catalogue is a copy for queries, derived from arrays and ledger. Its files are named by the digest of
their bytes and written before the manifest that names them. So a manifest is whole or not there, and a kill
leaves the former one with its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from engine.store.blocks import BlockKind, BlockResult, WrittenObject
from engine.store.checksummed import checksummed, read_checksummed
from engine.store.configuration import RunConfiguration
from engine.store.ledger import result_digest
from engine.store.objects import ObjectTree
from models.errors import ErrorKind, StoreError
from models.json_text import first_problem

FOLDER = "catalogue"
MANIFEST = f"{FOLDER}/manifest.json"
VERSION = 1

Content = Literal["outliers", "others", "explanations"]
"""What a file of the catalogue holds: spectra that are outliers, the other spectra, or explanations."""


@dataclass(frozen=True, slots=True)
class HeldBlock:
    """A finished block that a part was made of: its index, size and digest of its ledger entry."""

    index: int
    bytes: int
    entry: str

    def is_of(self, results: Mapping[int, BlockResult]) -> bool:
        """Whether the ledger's entry of the block is the one that it was made of."""
        return self.index in results and result_digest(results[self.index]) == self.entry


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """One Parquet file: what it holds, of how many rows, and the object as it was written."""

    content: Content
    rows: int
    object: WrittenObject


@dataclass(frozen=True, slots=True)
class CataloguePart:
    """Files made of the same finished blocks.

    Attributes
    ----------
    kind : of the blocks.
    blocks : the blocks, ascending; plans : digests of their plans, sorted.
    files : those that have rows.
    names : a filter of the identifiers and keys of its spectra; None of explanations, and in catalogues that
        were made before there were filters.
    """

    kind: BlockKind
    blocks: tuple[HeldBlock, ...]
    plans: tuple[str, ...]
    files: tuple[CatalogueFile, ...]
    names: WrittenObject | None = None

    @property
    def objects(self) -> tuple[WrittenObject, ...]:
        """All of its objects."""
        files = tuple(file.object for file in self.files)
        return files if self.names is None else (*files, self.names)

    @property
    def rows(self) -> int:
        """Rows of its files."""
        return sum(file.rows for file in self.files)

    def is_of(self, listed: Mapping[int, int]) -> bool:
        """Whether the ledger has these blocks, with entries of these sizes."""
        return all(listed.get(block.index) == block.bytes for block in self.blocks)

    def was_made_of(self, results: Mapping[int, BlockResult]) -> bool:
        """Whether the ledger's entries of these blocks are those that it was made of."""
        return all(block.is_of(results) for block in self.blocks)


@dataclass(frozen=True, slots=True)
class CatalogueManifest:
    """A catalogue.

    Attributes
    ----------
    version : of this form.
    configuration : digest of the configuration of the store that it is of.
    columns : digest of the columns of its files.
    parts : those of either kind by their first block.
    """

    version: int
    configuration: str
    columns: str
    parts: tuple[CataloguePart, ...]

    def of(self, kind: BlockKind) -> tuple[CataloguePart, ...]:
        """Its parts of one kind."""
        return tuple(part for part in self.parts if part.kind == kind)

    @property
    def objects(self) -> dict[str, WrittenObject]:
        """The objects of all parts by path."""
        return {each.path: each for part in self.parts for each in part.objects}


_FILE = re.compile(rf"{FOLDER}/[0-9a-f]{{32}}\.(parquet|names)")
_MANIFEST = TypeAdapter(CatalogueManifest)


def file_path(digest: str) -> str:
    """Path of a table of the catalogue with that digest."""
    return f"{FOLDER}/{digest}.parquet"


def names_path(digest: str) -> str:
    """Path of a filter of names with that digest."""
    return f"{FOLDER}/{digest}.names"


def is_file_path(path: str) -> bool:
    """Whether an object has the name of a table or filter of the catalogue."""
    return _FILE.fullmatch(path) is not None


def save_manifest(objects: ObjectTree, manifest: CatalogueManifest) -> None:
    """Put a manifest in place of the former one; its parts must be durable already."""
    objects.put(MANIFEST, checksummed(asdict(manifest)))


def read_manifest(objects: ObjectTree, configuration: RunConfiguration) -> CatalogueManifest | None:
    """The manifest of a store's catalogue; ``None`` where there is none.

    Raises
    ------
    StoreError : it is damaged, or of another store.
    """
    try:
        data = objects.get(MANIFEST)
    except FileNotFoundError:
        return None
    where = f"{objects.url}/{MANIFEST}"
    try:
        body = read_checksummed(data, where, REMEDY)
        found = _MANIFEST.validate_json(body, strict=True)
    except StoreError as error:
        raise catalogue_damaged(where, error.got) from error
    except ValidationError as error:
        raise catalogue_damaged(where, first_problem(error)) from error
    if found.configuration != configuration.digest:
        raise _of_another_store(where, f"made of a store of the configuration {found.configuration}")
    if wrong := _misfit(found.parts):
        raise catalogue_damaged(where, wrong)
    return found


def check_identity(objects: ObjectTree, manifest: CatalogueManifest, plans: frozenset[str]) -> None:
    """Refuse a catalogue that was made of plans that the store has not.

    The name of a plan is the digest of its files, as they were, and of its blocks: two stores of one
    configuration that have a plan in common have the same spectra in its blocks.

    Raises
    ------
    StoreError : it is of another store.
    """
    made_of = {plan for part in manifest.parts for plan in part.plans}
    if other := made_of - plans:
        raise _of_another_store(
            f"{objects.url}/{MANIFEST}", f"made of plans that the ledger has not, e.g. {min(other)}"
        )


REMEDY = "Run 'whyspec catalogue --anew' or 'whyspec verify --repair': it is made anew from the arrays."


def catalogue_damaged(where: str, got: object) -> StoreError:
    """The error of a catalogue that is not as it was written."""
    return StoreError(
        "The store's catalogue is damaged.",
        where=where,
        got=got,
        allowed="what whyspec wrote there",
        remedy=REMEDY,
        kind=ErrorKind.CATALOGUE_DAMAGED,
    )


def _of_another_store(where: str, got: str) -> StoreError:
    return StoreError(
        "The catalogue is that of another store.",
        where=where,
        got=got,
        allowed="a catalogue that was made of this store",
        remedy=REMEDY,
        kind=ErrorKind.CATALOGUE_FOREIGN,
    )


def _misfit(parts: Iterable[CataloguePart]) -> str:
    """What parts say that no catalogue says; empty if nothing."""
    seen: set[tuple[BlockKind, int]] = set()
    for part in parts:
        for block in part.blocks:
            if (part.kind, block.index) in seen:
                return f"{part.kind} block {block.index} twice"
            seen.add((part.kind, block.index))
        if part.names is not None and part.names.path != names_path(part.names.digest):
            return f"a filter {part.names.path}"
        for file in part.files:
            if file.object.path != file_path(file.object.digest):
                return f"a file {file.object.path}"
            if (file.content == "explanations") != (part.kind == "attribution"):
                return f"{file.content} of {part.kind} blocks"
    return ""
