"""Verification: every byte of a store against its ledger, and the ledger against itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.store.catalogue_checks import blocks_not_in_catalogue, catalogue_faults
from engine.store.catalogue_manifest import CatalogueManifest, read_manifest
from engine.store.configuration import RunConfiguration
from engine.store.content_checks import content_faults
from engine.store.entries import ExplanationSetEntry
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
from engine.store.set_entries import set_folder
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
    set_blocks : entries of finished blocks of each set of explanations beside the run's own, by its name.
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
    set_blocks: dict[str, int]

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
    return report_of(url, examine(objects, found_lock(objects), progress))


@dataclass(frozen=True)
class Examined:
    """The evidence of a store, or of a set of explanations in it, and its faults, sorted by place."""

    evidence: Evidence
    faults: tuple[Fault, ...]

    @property
    def in_store(self) -> tuple[Fault, ...]:
        """The faults with their places in the store."""
        return in_store(self.evidence, self.faults)


def in_store(evidence: Evidence, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Faults of what the evidence is of, with their places in the store."""
    if evidence.entry is None:
        return faults
    folder = set_folder(evidence.entry.name)
    return tuple(replace(fault, where=f"{folder}/{fault.where}") for fault in faults)


def examine(
    objects: ObjectTree, lock: FoundLock | None, progress: Callable[[int, int], None] | None = None
) -> tuple[Examined, ...]:
    """What is found in a store, then what is found in each of its sets of explanations.

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
    sets = ledger.explanation_sets(damaged.append)
    sizes = objects.sizes()
    of_sets = {name: _below(sizes, set_folder(name)) for name in sets}
    inside = {f"{set_folder(name)}/{path}" for name, paths in of_sets.items() for path in paths}
    store = Evidence(
        objects,
        configuration,
        snapshot,
        clusterings,
        tuple(damaged),
        {path: size for path, size in sizes.items() if path not in inside},
        lock,
        catalogue,
        sets,
    )
    return (
        Examined(store, _faults(store, progress)),
        *(_examined_set(store, entry, of_sets[name], progress) for name, entry in sets.items()),
    )


def _below(sizes: dict[str, int], folder: str) -> dict[str, int]:
    start = f"{folder}/"
    return {path.removeprefix(start): size for path, size in sizes.items() if path.startswith(start)}


def _examined_set(
    store: Evidence,
    entry: ExplanationSetEntry,
    sizes: dict[str, int],
    progress: Callable[[int, int], None] | None,
) -> Examined:
    objects = store.objects.below(set_folder(entry.name))
    configuration = entry.configuration_in(store.configuration)
    damaged: list[StoreError] = []
    snapshot = Snapshot.read(Ledger(objects, configuration), damaged.append)
    evidence = Evidence(
        objects,
        configuration,
        snapshot,
        {},
        tuple(damaged),
        sizes,
        store.lock,
        None,
        set_of=store,
        entry=entry,
    )
    return Examined(evidence, _faults(evidence, progress))


def _faults(evidence: Evidence, progress: Callable[[int, int], None] | None) -> tuple[Fault, ...]:
    faults = [fault_of(error, evidence.objects.url) for error in evidence.damaged]
    expected = expected_objects(evidence)
    faults += foreign_faults(evidence)
    faults += lock_faults(evidence) if evidence.entry is None else ()
    faults += document_faults(evidence)
    faults += digest_faults(evidence, expected, progress)
    bad = {fault.where for fault in faults}
    faults += entry_faults(evidence)
    faults += flag_faults(evidence)
    faults += unexpected_faults(evidence, expected)
    faults += staging_faults(evidence)
    faults += catalogue_faults(evidence)
    faults += content_faults(evidence, bad)
    return tuple(sorted(set(faults), key=lambda fault: (fault.where, fault.kind)))


def report_of(url: str, examined: tuple[Examined, ...]) -> VerifyReport:
    """The report on what was examined."""
    store = examined[0].evidence
    expected = [(each.evidence, expected_objects(each.evidence)) for each in examined]
    return VerifyReport(
        url=url,
        score_blocks=len(store.snapshot.scored),
        attribution_blocks=len(store.snapshot.explained),
        objects=sum(path in evidence.sizes for evidence, paths in expected for path in paths),
        bytes=sum(max(evidence.sizes.get(path, 0), 0) for evidence, paths in expected for path in paths),
        faults=tuple(fault for each in examined for fault in each.in_store),
        leftovers=tuple(_leftovers(examined)),
        run=str(store.lock) if store.is_under_way else "",
        unfinished=sum(len(uncommitted_blocks(*each)) for each in expected) if store.is_under_way else 0,
        not_in_catalogue=blocks_not_in_catalogue(store),
        set_blocks={
            name: len(each.evidence.snapshot.explained)
            for name, each in zip(store.sets, examined[1:], strict=True)
        },
    )


def _leftovers(examined: tuple[Examined, ...]) -> Iterator[str]:
    for each in examined:
        folder = f"{set_folder(each.evidence.entry.name)}/" if each.evidence.entry else ""
        yield from (f"{folder}{path}" for path in each.evidence.sizes if path.endswith(PARTIAL))


def _catalogue(
    objects: ObjectTree, configuration: RunConfiguration, on_damage: OnDamage
) -> CatalogueManifest | None:
    try:
        return read_manifest(objects, configuration)
    except StoreError as error:
        on_damage(error)
        return None
