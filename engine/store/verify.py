"""Verification: every byte of a store against its ledger, and the ledger against itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from engine.store.catalogue_checks import blocks_not_in_catalogue, catalogue_faults
from engine.store.catalogue_manifest import CatalogueManifest, read_manifest
from engine.store.configuration import RunConfiguration
from engine.store.content_checks import content_faults
from engine.store.evidence import Evidence, Fault, fault_of
from engine.store.ledger import Ledger
from engine.store.object_checks import (
    digest_faults,
    document_faults,
    entry_faults,
    expected_objects,
    flag_faults,
    foreign_faults,
    lock_faults,
    staging_faults,
    uncommitted_blocks,
    unexpected_faults,
)
from engine.store.objects import ObjectTree, OnDamage
from engine.store.root import read_configuration
from engine.store.run_lock import FoundLock, found_lock
from engine.store.snapshot import Snapshot
from models.atomic_files import PARTIAL
from models.errors import StoreError


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found.

    Attributes
    ----------
    url : the store.
    score_blocks, attribution_blocks : entries of finished blocks that were checked.
    objects, bytes : objects that were read and compared with their digest.
    faults : sorted by place.
    leftovers : temporary files of killed writers; harmless: the next run deletes them at its end.
    run : who writes to the store, or was killed doing so; empty if nobody.
    unfinished : blocks of that run of which objects are there and no entry yet; no faults.
    not_in_catalogue : finished blocks that the catalogue lacks; queries read them from the arrays.
    """

    url: str
    score_blocks: int
    attribution_blocks: int
    objects: int
    bytes: int
    faults: tuple[Fault, ...]
    leftovers: tuple[str, ...]
    run: str
    unfinished: int
    not_in_catalogue: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return {**asdict(self), "ok": self.ok}


def verify(url: str, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
    """Read a whole store and compare it with its ledger; nothing is changed.

    Parameters
    ----------
    progress : called with the number of objects read so far and of all to read.

    Raises
    ------
    InputError : there is no store.
    StoreError : its schema has another version, or its root is damaged.
    """
    objects = ObjectTree(url)
    return report_of(url, *examine(objects, found_lock(objects), progress))


def examine(
    objects: ObjectTree, lock: FoundLock | None, progress: Callable[[int, int], None] | None = None
) -> tuple[Evidence, tuple[Fault, ...]]:
    """The evidence of a store, and its faults, sorted by place.

    ``lock`` is of the process that may be writing blocks meanwhile, or was killed doing so.

    Raises
    ------
    InputError, StoreError : see :func:`verify`.
    """
    configuration = read_configuration(objects)
    ledger = Ledger(objects, configuration)
    damaged: list[StoreError] = []
    # The catalogue first: the ledger that is read after it has every block that it was made of.
    catalogue = _catalogue(objects, configuration, damaged.append)
    snapshot, clusterings = Snapshot.read(ledger, damaged.append), ledger.clusterings(damaged.append)
    evidence = Evidence(
        objects, configuration, snapshot, clusterings, tuple(damaged), objects.sizes(), lock, catalogue
    )
    faults = [fault_of(error, objects.url) for error in evidence.damaged]
    expected = expected_objects(evidence)
    faults += foreign_faults(evidence)
    faults += lock_faults(evidence)
    faults += document_faults(evidence)
    faults += digest_faults(evidence, expected, progress)
    bad = {fault.where for fault in faults}
    faults += entry_faults(evidence)
    faults += flag_faults(evidence)
    faults += unexpected_faults(evidence, expected)
    faults += staging_faults(evidence)
    faults += catalogue_faults(evidence)
    faults += content_faults(evidence, bad)
    return evidence, tuple(sorted(set(faults), key=lambda fault: (fault.where, fault.kind)))


def report_of(url: str, evidence: Evidence, faults: tuple[Fault, ...]) -> VerifyReport:
    """The report on what was examined."""
    expected = expected_objects(evidence)
    return VerifyReport(
        url=url,
        score_blocks=len(evidence.snapshot.scored),
        attribution_blocks=len(evidence.snapshot.explained),
        objects=sum(path in evidence.sizes for path in expected),
        bytes=sum(max(evidence.sizes.get(path, 0), 0) for path in expected),
        faults=faults,
        leftovers=tuple(path for path in evidence.sizes if path.endswith(PARTIAL)),
        run=str(evidence.lock) if evidence.is_under_way else "",
        unfinished=len(uncommitted_blocks(evidence, expected)) if evidence.is_under_way else 0,
        not_in_catalogue=blocks_not_in_catalogue(evidence),
    )


def _catalogue(
    objects: ObjectTree, configuration: RunConfiguration, on_damage: OnDamage
) -> CatalogueManifest | None:
    try:
        return read_manifest(objects, configuration)
    except StoreError as error:
        on_damage(error)
        return None
