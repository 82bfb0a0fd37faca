"""Evidence of a verification: a store as it was found. Faults: what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from engine.store.blocks import AttributionBlock, BlockKind, BlockResult, ScoreBlock
from engine.store.catalogue_manifest import CatalogueManifest
from engine.store.configuration import RunConfiguration
from engine.store.entries import ClusteringEntry, ExplanationSetEntry
from engine.store.explanation_set import GROUP, attributes_of
from engine.store.hierarchy import group_document, new_documents, set_documents
from engine.store.objects import FOREIGN, ObjectTree
from engine.store.run_lock import FoundLock
from engine.store.saved_plans import AttributionPlan, ScorePlan
from engine.store.set_entries import FOLDER
from engine.store.snapshot import Snapshot
from models.errors import StoreError

AGAIN = "Run 'whyspec verify --repair': the block is computed anew, with the same values."
"""Remedy for a finished block whose data are not as recorded."""

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """An object of a store that is not as the ledger records it.

    Attributes
    ----------
    kind : short stable code, e.g. ``"missing-object"``.
    where : path in the store; what : what is wrong there; remedy : what to do.
    """

    kind: str
    where: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Evidence:
    """A store as one listing and one reading of its ledger found it.

    Attributes
    ----------
    objects, configuration : the store.
    snapshot, clusterings : its ledger, without damaged entries; damaged : the errors of these.
    sizes : path and size of every object.
    lock : of the process that writes to the store, or was killed doing so.
    catalogue : the manifest of its catalogue; ``None`` where there is none that can be read.
    sets : entries of its sets of explanations, whose objects are not in ``sizes``; by name.
    set_of : the evidence of the store, if this is that of a set in it; entry : of the set.
    """

    objects: ObjectTree
    configuration: RunConfiguration
    snapshot: Snapshot
    clusterings: Mapping[str, ClusteringEntry]
    damaged: tuple[StoreError, ...]
    sizes: dict[str, int]
    lock: FoundLock | None
    catalogue: CatalogueManifest | None
    sets: Mapping[str, ExplanationSetEntry] = field(default_factory=dict)
    set_of: Evidence | None = None
    entry: ExplanationSetEntry | None = None

    @property
    def scored(self) -> Mapping[int, BlockResult]:
        """Finished score blocks, in which explained rows are."""
        return (self.set_of or self).snapshot.scored

    @cached_property
    def documents(self) -> dict[str, bytes]:
        """Every object that an empty store, or set, of its configuration has, by path."""
        if self.entry is not None:
            return set_documents(self.configuration, attributes_of(self.entry))
        group = {f"{FOLDER}/zarr.json": group_document(GROUP)} if self.sets else {}
        return {**new_documents(self.configuration, {}), **group}

    @property
    def plans(self) -> tuple[ScorePlan | AttributionPlan, ...]:
        """Saved plans of both kinds."""
        return (*self.snapshot.plans, *self.snapshot.attribution_plans)

    @property
    def results(self) -> tuple[BlockResult, ...]:
        """Finished blocks of both kinds."""
        return (*self.snapshot.scored.values(), *self.snapshot.explained.values())

    @cached_property
    def planned_rows(self) -> dict[tuple[str, int], tuple[int, ...]]:
        """Rows that attribution blocks explain, by plan and block."""
        return {
            (block.plan, block.index): block.rows
            for block in self.planned_blocks.values()
            if isinstance(block, AttributionBlock)
        }

    @cached_property
    def planned_blocks(self) -> dict[tuple[BlockKind, int], ScoreBlock | AttributionBlock]:
        """Every block of a saved plan, by kind and index."""
        return {(block.kind, block.index): block for plan in self.plans for block in plan.blocks}

    @property
    def is_under_way(self) -> bool:
        """Whether a run writes to the store or was killed doing so: planned blocks may be half written."""
        return self.lock is not None and self.lock.record is not None

    def is_file(self, path: str) -> bool:
        """Whether there is an object of that path, and nothing else in its place."""
        return self.sizes.get(path, FOREIGN) != FOREIGN

    def has_no_data(self, result: BlockResult) -> bool:
        """Whether none of the objects of a finished block is there."""
        return not any(
            each.path in self.sizes for each in result.objects if not each.path.startswith("staging/")
        )


def fault_of(error: StoreError, url: str) -> Fault:
    """The fault of an object of the store at ``url`` that cannot be read."""
    return Fault(error.kind.value, error.where.removeprefix(f"{url}/"), error.got, error.remedy)


def some(items: Iterable[object]) -> str:
    """The first few of many, for a sentence."""
    listed = [str(item) for item in items]
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
