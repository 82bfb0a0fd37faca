"""Store for writers: they write whole blocks, and nothing else.

One block is one object of every array of its kind. Objects are encoded in memory and put whole. So nothing
half-written is ever visible, and writing a block twice gives the same bytes. Workers write blocks; only the
coordinator grows arrays, flags rows and writes the ledger.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.explanation import Explanations
from engine.spectra.rows import COLUMNS
from engine.spectra.scored_spectra import ScoredSpectra, SelectedSpectra
from engine.store.block_arrays import BlockArrays
from engine.store.blocks import AttributionBlock, ScoreBlock, WrittenObject
from engine.store.configuration import RunConfiguration
from engine.store.entries import FlaggedRows, ranges_of
from engine.store.hierarchy import encode_block, group_document, new_documents
from engine.store.ledger import Ledger
from engine.store.objects import ObjectTree
from engine.store.root import is_store, read_configuration, root_attributes
from engine.store.run_lock import LOCKS
from engine.store.schema import FLAGS, FlagName, scales_of, units_of
from engine.store.snapshot import Snapshot
from engine.store.staging import staged_bytes, staging_path, unstaged
from models.atomic_files import PARTIAL
from models.errors import BugError, ConfigurationError, ErrorKind, InputError, StoreError
from models.json_text import read_json

_SCORE_FIELDS = (
    "model",
    "latents",
    "score",
    "tail_probability",
    "tail_uncertainty",
    "reconstruction",
    "normalisation",
    "outlier",
)


class Store:
    """A store that can be written. Make one with :meth:`create` or :meth:`open`.

    Attributes
    ----------
    url : where it is.
    configuration : what it is bound to.
    objects : its objects; ledger : its ledger.
    """

    def __init__(self, objects: ObjectTree, configuration: RunConfiguration) -> None:
        self.objects = objects
        self.configuration = configuration
        self.ledger = Ledger(objects, configuration)
        self._arrays = BlockArrays(objects, configuration)

    def __reduce__(self) -> tuple[type[Store], tuple[ObjectTree, RunConfiguration]]:
        return Store, (self.objects, self.configuration)

    @property
    def url(self) -> str:
        """Where the store is."""
        return self.objects.url

    @classmethod
    def create(cls, url: str, configuration: RunConfiguration) -> Store:
        """A new, empty store at a place where there is none.

        A creation that was killed is completed.

        Raises
        ------
        InputError : something else is there, or nothing can be written there.
        ConfigurationError : there is a store already.
        """
        objects = ObjectTree(url)
        check_place(objects, configuration)
        documents = new_documents(configuration, root_attributes(configuration))
        root = documents.pop("zarr.json")
        objects.put_all(documents.items())
        objects.put("zarr.json", root)
        return cls(objects, configuration)

    @classmethod
    def open(cls, url: str) -> Store:
        """The store at ``url``.

        Raises
        ------
        InputError : there is none.
        StoreError : its schema has another version, or its root is damaged.
        """
        objects = ObjectTree(url)
        return cls(objects, read_configuration(objects))

    @staticmethod
    def exists(url: str) -> bool:
        """Whether there is a store at ``url``, of whatever schema version."""
        return is_store(ObjectTree(url))

    def grow(self, score_blocks: int, attribution_blocks: int) -> None:
        """Give the arrays room for at least that many blocks of each kind. Never shrinks.

        For the coordinator, before any writer starts: a resize during a write loses data.
        """
        self._arrays.grow({"score": score_blocks, "attribution": attribution_blocks})
        root = read_json(self.objects.get("zarr.json"))
        if root.get("consolidated_metadata"):
            # Someone consolidated the store: readers would now be shown the old shapes.
            self.objects.put("zarr.json", group_document(root["attributes"]))

    def write_scores(self, block: ScoreBlock, scored: ScoredSpectra) -> tuple[WrittenObject, ...]:
        """Write a score block: one object per array of ``spectra/`` and ``scores/``, sorted by path.

        What it returns is that of a block without flagged rows, so that a block that is written again
        has the same receipt; flags that its rows were given since are kept.

        Raises
        ------
        BugError : the block is not one of this store's, or the spectra are not the block's.
        """
        self._arrays.check(block, len(scored))
        rows = scored.rows
        values: dict[str, NDArray[Any]] = {f"spectra/{column.name}": rows[column.name] for column in COLUMNS}
        values["spectra/source"] = np.array(scored.source, dtype=object)
        values |= {spec.path: np.zeros(block.capacity, dtype=np.bool_) for spec in FLAGS.values()}
        values |= {f"scores/{name}": getattr(scored, name) for name in _SCORE_FIELDS}
        written = self._arrays.write("score", block.index, values)
        for flag in FLAGS:
            if self.ledger.flagged_in(flag, block.index) is not None:
                self.write_flags(flag, block.index)
        return written

    def write_explanations(
        self, block: AttributionBlock, explanations: Explanations
    ) -> tuple[WrittenObject, ...]:
        """Write an attribution block: one object per array of ``outliers/``, sorted by path.

        Raises
        ------
        BugError : the block is not one of this store's, or the explanations are not the block's.
        """
        return self._arrays.write_explanations(block, explanations)

    def stage(self, block: ScoreBlock, selected: SelectedSpectra) -> tuple[WrittenObject, ...]:
        """Keep a score block's outliers until they are explained; nothing is written for none.

        Raises
        ------
        BugError : a row is outside the block.
        """
        if not len(selected):
            return ()
        inside = (selected.row >= block.first_row) & (selected.row < block.first_row + block.capacity)
        if not inside.all():
            raise BugError(
                "A selected spectrum is not of the block that stages it.",
                where=f"score block {block.index}",
                got=selected.row[~inside].tolist()[:8],
                allowed=f"rows {block.first_row} to {block.first_row + block.capacity - 1}",
                kind=ErrorKind.OTHER_ROWS,
            )
        return (self.objects.put(staging_path(block.index), staged_bytes(selected)),)

    def staged(self, rows: tuple[int, ...]) -> SelectedSpectra:
        """The staged spectra of these rows, in their order.

        Raises
        ------
        StoreError : a staging object is missing or damaged, or does not hold a row.
        """
        block_rows = self.configuration.block_rows
        blocks = sorted({row // block_rows for row in rows})
        parts = [self._staged_block(block) for block in blocks]
        every = SelectedSpectra.concatenate(self.configuration.grid.size, parts)
        row = every.row
        order = np.argsort(row, kind="stable")
        wanted = np.array(rows, dtype=np.int64)
        place = np.searchsorted(row, wanted, sorter=order)
        found = place < len(row)
        found[found] = row[order[place[found]]] == wanted[found]
        if not found.all():
            missing = int(wanted[~found][0])
            raise _staging_missing(self.url, staging_path(missing // block_rows), f"no row {missing}")
        return every.take(order[place])

    def unexplained(self, rows: tuple[int, ...]) -> Explanations:
        """The staged spectra of these rows, in their order, to be explained.

        Keys and TARGETIDs are those of the rows, whose score blocks must be committed.

        Raises
        ------
        StoreError : a staging object is missing or damaged, or does not hold a row.
        """
        selected = self.staged(rows)
        return Explanations.unexplained(
            selected,
            self.configuration.grid,
            scales_of(self.configuration),
            units_of(self.configuration),
            self._arrays.rows("spectra/key", selected.row),
            self._arrays.rows("spectra/target_id", selected.row),
        )

    def oddest(self, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        """The ``most`` oddest of committed rows: of least tail probability, then of highest score; ascending.

        Raises
        ------
        StoreError : an object of the scores is missing or damaged.
        """
        if len(rows) <= most:
            return rows
        tail, score = (self._arrays.rows(f"scores/{name}", rows) for name in ("tail_probability", "score"))
        return np.sort(rows[np.lexsort((rows, -score, tail))[:most]])

    def has_staging(self) -> bool:
        """Whether there are staging objects: work is left, or a run was killed while it cleared them."""
        return bool(self._staging_objects())

    def clear_staging(self) -> None:
        """Delete all staging objects and what killed writers left; for the end of a complete run."""
        left = [path for path in self.objects.sizes() if path.endswith(PARTIAL)]
        # Staging last: while any of it is there, a run that has nothing else to do clears the rest.
        self.objects.delete([*left, *self._staging_objects()])

    def mark_superseded(self, snapshot: Snapshot, rows: NDArray[np.int64]) -> Snapshot:
        """Flag committed rows as replaced by newer ones, beside those that are; for the coordinator.

        The flags are written first and recorded last. If the process is killed in between, the next run
        finds the rows not flagged yet and flags them again.

        Returns
        -------
        The snapshot of the ledger with these flags.

        Raises
        ------
        BugError : a row is of a block that is not committed.
        """
        earlier = snapshot.flagged["superseded"]
        marked = [
            self._flag("superseded", block, np.union1d(earlier[block].rows, new) if block in earlier else new)
            for block, new in self._by_block(snapshot, rows).items()
        ]
        return snapshot.with_flags(marked)

    def mark_gone(self, snapshot: Snapshot, rows: NDArray[np.int64]) -> Snapshot:
        """Flag these committed rows, and no others, as of files that have vanished; for the coordinator.

        Written in the order of :meth:`mark_superseded`. Where a file came back, its rows lose the flag.

        Returns
        -------
        The snapshot of the ledger with these flags.

        Raises
        ------
        BugError : a row is of a block that is not committed.
        """
        earlier, wanted = snapshot.flagged["gone"], self._by_block(snapshot, rows)
        none = np.empty(0, np.int64)
        marked = [
            self._flag("gone", block, wanted.get(block, none))
            for block in sorted(set(earlier) | set(wanted))
            if block not in earlier or not np.array_equal(earlier[block].rows, wanted.get(block, none))
        ]
        return snapshot.with_flags(marked)

    def write_flags(self, flag: FlagName, block: int) -> None:
        """Write the flags of a score block's rows anew, as the ledger has them."""
        entry = self.ledger.flagged_in(flag, block)
        rows = entry.rows if entry is not None else np.empty(0, np.int64)
        self.objects.put(FLAGS[flag].object_path(block), self._flags(flag, block, rows))

    def _flag(self, flag: FlagName, block: int, rows: NDArray[np.int64]) -> FlaggedRows:
        self.ledger.guard()
        written = self.objects.put(FLAGS[flag].object_path(block), self._flags(flag, block, rows))
        entry = FlaggedRows(flag, block, ranges_of(rows), written)
        self.ledger.save_flags(entry)
        return entry

    def _flags(self, flag: FlagName, block: int, rows: NDArray[np.int64]) -> bytes:
        values = np.zeros(self.configuration.block_rows, dtype=np.bool_)
        values[rows - block * self.configuration.block_rows] = True
        return encode_block(FLAGS[flag], values, self.configuration)

    def _by_block(self, snapshot: Snapshot, rows: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
        """Committed rows by their score block, both ascending."""
        every = np.unique(rows)
        blocks, starts = np.unique(every // self.configuration.block_rows, return_index=True)
        parts = dict(zip(blocks.tolist(), np.split(every, starts[1:]), strict=False))
        uncommitted = sorted(set(parts) - set(snapshot.scored))
        if uncommitted:
            raise BugError(
                "Only rows of committed blocks can be flagged.",
                where=self.url,
                got=f"rows of score blocks {uncommitted[:8]}",
                allowed="rows of blocks in the ledger",
                kind=ErrorKind.UNCOMMITTED_ROWS,
            )
        return parts

    def _staging_objects(self) -> list[str]:
        return [path for path in self.objects.sizes("staging") if path.endswith(".safetensors")]

    def _staged_block(self, block: int) -> SelectedSpectra:
        path = staging_path(block)
        try:
            return unstaged(self.objects.get(path), f"{self.url}/{path}", self.configuration.grid.size)
        except FileNotFoundError as error:
            raise _staging_missing(self.url, path, "no such object") from error


def check_place(objects: ObjectTree, configuration: RunConfiguration) -> None:
    """Refuse to make a store where there is one, or where something else is.

    What the creation of such a store left when it was killed is not in its way.

    Raises
    ------
    InputError : something else is there.
    ConfigurationError : there is a store already.
    """
    present = {
        path for path in objects.sizes() if not path.endswith(PARTIAL) and not path.startswith(f"{LOCKS}/")
    }
    if "zarr.json" in present and is_store(objects):
        raise ConfigurationError(
            "There is a store at this place already.",
            where=objects.url,
            allowed="a path that does not exist, or an empty directory",
            remedy="Continue it with 'whyspec run' and the same settings, or choose another --store.",
            kind=ErrorKind.STORE_EXISTS,
        )
    foreign = sorted(present - set(new_documents(configuration, {})))
    if foreign or "zarr.json" in present:
        raise InputError(
            "The place for the new store is not empty.",
            where=objects.url,
            got=f"{len(present)} other objects, e.g. {(foreign or ['zarr.json'])[0]}",
            allowed="a path that does not exist, or an empty directory",
            remedy="Choose another --store, or empty the directory yourself.",
            kind=ErrorKind.NOT_A_STORE,
        )


def check_configuration(store: Store, configuration: RunConfiguration) -> None:
    """Refuse a configuration other than the one that a store is bound to.

    Raises
    ------
    ConfigurationError : with every entry in which they differ.
    """
    if store.configuration.digest == configuration.digest:
        return
    raise ConfigurationError(
        "The store was made with another configuration; one store holds one run's values.",
        where=store.url,
        got="; ".join(configuration.differences(store.configuration)),
        allowed="the configuration of the store ('there')",
        remedy="Use the store's settings, or choose another --store for these. 'whyspec attribute' explains "
        "outliers of a store by another method or with other settings.",
        kind=ErrorKind.OTHER_CONFIGURATION,
    )


def _staging_missing(url: str, path: str, got: str) -> StoreError:
    return StoreError(
        "An outlier that is to be explained is not in the staging area.",
        where=f"{url}/{path}",
        got=got,
        allowed="the spectra of every outlier that is not explained yet",
        remedy="Delete the ledger entry of its score block and run again: the block is then scored anew.",
        kind=ErrorKind.STAGING_MISSING,
    )
