"""Repair of a store: the blocks that a verification finds damaged are computed again, and only those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from engine.catalogue.building import withdraw, withdraw_blocks
from engine.run.drive import Block, GroupThreads, drive
from engine.run.events import RunObservers, Stage, Waiting
from engine.run.executor import Executor, WorkerRecipe
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.source_file import SourceFile
from engine.store.blocks import BlockResult
from engine.store.catalogue_manifest import FOLDER as CATALOGUE
from engine.store.catalogue_manifest import MANIFEST, read_manifest
from engine.store.evidence import Evidence, Fault
from engine.store.explanation_set import ExplanationSet
from engine.store.ledger import Ledger
from engine.store.repair import Repair, own_spectra, plan_repair
from engine.store.run_lock import run_lock
from engine.store.snapshot import Snapshot
from engine.store.staging import staged_bytes, staging_path, unstaged
from engine.store.store import Store
from engine.store.verify import Examined, VerifyReport, examine, in_store, report_of
from engine.surveys.fingerprint import PublishedChecksums
from engine.surveys.reading import inspect
from flows.run.catalogue import complete_catalogue
from flows.run.executors import FEW_BLOCKS, started_executor
from flows.run.model_choice import store_models
from flows.run.request import ExecutorName
from flows.run.summary import clear_staging
from flows.run.tally import RunTally
from infra.settings import Settings
from models.errors import InputError, QuarantineError, RetryError
from models.observers import report

_ROUNDS = 4
"""A plan that is recovered in one tells which blocks the next must run; then the sets likewise."""


@dataclass(frozen=True)
class RepairReport:
    """What a repair did.

    Attributes
    ----------
    before, after : what the verification found before and after it.
    restored : documents, plans and flags that were written again.
    scored, explained : blocks that were run again.
    changed : entries of those that came out otherwise than they were recorded, e.g. by other code.
    unrepairable : faults that it cannot repair, with the reason and what to do.
    """

    before: VerifyReport
    after: VerifyReport
    restored: int
    scored: int
    explained: int
    changed: tuple[str, ...]
    unrepairable: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether the store is whole now."""
        return self.after.ok

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return {**asdict(self), "ok": self.ok}


def repair(
    url: str,
    settings: Settings,
    observers: RunObservers = (),
    *,
    models: tuple[str, ...] = (),
    workers: int = 0,
    wait: float = 0.0,
) -> RepairReport:
    """Verify a store, make it whole again as far as its source files allow, and verify it again.

    Safe to stop at any moment and to run again.

    Parameters
    ----------
    models : name or directory of each scoring model, in any order; those the store names when empty.
    workers : processes; 0 as in the settings.
    wait : seconds to wait for another process that writes to the store.

    Raises
    ------
    InputError : there is no store.
    StoreError : its root is damaged.
    ConfigurationError : the models are not the store's.
    RetryError : another process writes to the store, or a fault that did not pass.
    """
    store, tally = Store.open(url), RunTally()
    observers = (*observers, tally)

    def on_wait(what: str) -> None:
        report(observers, Waiting(what))

    with run_lock(url, "repair", wait=wait, state=tally.state, on_wait=on_wait) as lock:
        store.ledger.guard = lock.check
        recipe = WorkerRecipe(
            store_models(store, models),
            url,
            settings.threads_per_worker,
            settings.attribution_memory,
        )
        work = _Work(store, recipe, settings, workers, observers)
        on_wait("read the store")
        examined = examine(store.objects, None)
        before = report_of(url, examined)
        manifest = any(fault.where == MANIFEST for fault in before.faults)
        had_catalogue = examined[0].evidence.catalogue is not None or manifest
        unrepairable: tuple[Fault, ...] = ()
        for _ in range(_ROUNDS):
            # The sets of explanations take their spectra from the store: they come when it is whole.
            chosen = examined[:1] if examined[0].faults else examined[1:]
            plans = [_possible(plan_repair(each.evidence, each.faults)) for each in chosen]
            unrepairable = tuple(
                fault
                for each, plan in zip(chosen, plans, strict=True)
                for fault in in_store(each.evidence, plan.unrepairable)
            )
            if not any(plan.has_work for plan in plans):
                break
            for each, plan in zip(chosen, plans, strict=True):
                work.repair(plan, each.evidence)
            on_wait("read the store again")
            examined = examine(store.objects, None)
        faults = [fault for each in examined for fault in each.faults]
        if not faults and not before.ok and had_catalogue:
            examined = (_with_catalogue(store, examined[0], observers), *examined[1:])
        if not faults and before.leftovers:
            store.objects.delete(before.leftovers)
        on_wait("")
        after = report_of(url, examined)
        left = {fault.where for fault in after.faults}
        return RepairReport(
            before=before,
            after=after,
            restored=work.restored,
            scored=work.scored,
            explained=work.explained,
            changed=tuple(work.changed),
            unrepairable=tuple(
                fault for fault in unrepairable if fault.where in left or fault.kind == "source-changed"
            ),
        )


def _with_catalogue(store: Store, found: Examined, observers: RunObservers) -> Examined:
    """A store without faults, after its catalogue was brought up to date."""
    complete_catalogue(store, found.evidence.snapshot, observers)
    evidence = replace(
        found.evidence,
        catalogue=read_manifest(store.objects, store.configuration),
        sizes={**found.evidence.sizes, **store.objects.sizes(CATALOGUE)},
    )
    return Examined(evidence, found.faults)


class _Work:
    """A repair under way: what was done so far."""

    def __init__(
        self,
        store: Store,
        recipe: WorkerRecipe,
        settings: Settings,
        workers: int,
        observers: RunObservers,
    ) -> None:
        self._store = store
        self._observers = observers
        self._recipe = recipe
        self._settings = settings
        self._workers = workers
        self.restored = self.scored = self.explained = 0
        self.changed: list[str] = []

    def repair(self, plan: Repair, evidence: Evidence) -> None:
        """Do what a plan says of a store, or of a set of explanations in it, in its order."""
        if evidence.entry is not None:
            self._repair_set(plan, evidence, ExplanationSet(self._store, evidence.entry))
            return
        store, ledger, snapshot = self._store, self._store.ledger, evidence.snapshot
        # Before any entry is replaced: a reader must not take a catalogue for that of the new entries.
        if plan.catalogue:
            withdraw(store)
        withdraw_blocks(store, [(each.kind, each.index) for each in plan.blocks])
        store.objects.put_all(sorted(plan.documents.items()))
        for lost in plan.plans:
            ledger.save_plan(lost)
            snapshot = snapshot.with_plan(lost)
        for found in plan.sets:
            ledger.save_explanation_set(found)
        for entry in plan.flag_entries:
            ledger.save_flags(entry)
            if not entry.ranges and ("score", entry.block) in evidence.planned_blocks:
                store.write_flags(entry.flag, entry.block)
        snapshot = snapshot.with_flags(plan.flag_entries)
        for flag, block in plan.flags:
            store.write_flags(flag, block)
        store.objects.delete(plan.orphans)
        self.restored += len(plan.documents) + len(plan.plans) + len(plan.flag_entries) + len(plan.flags)
        self.restored += len(plan.sets)
        if plan.score_blocks or plan.attribution_blocks:
            snapshot = self._run(plan, evidence, snapshot)
        store.mark_superseded(snapshot, snapshot.newly_superseded)

    def _repair_set(self, plan: Repair, evidence: Evidence, own: ExplanationSet) -> None:
        own.objects.put_all(sorted(plan.documents.items()))
        for lost in plan.plans:
            own.ledger.save_plan(lost)
        own.objects.delete(plan.orphans)
        self.restored += len(plan.documents) + len(plan.plans)
        if plan.attribution_blocks:
            recipe = replace(self._recipe, explanations=own.name)
            blocks = plan.attribution_blocks
            keep = self._keeps(own.ledger, evidence.snapshot, f" of {own.name}")
            with GroupThreads() as threads, self._executor(recipe, len(blocks)) as executor:
                drive("explaining", blocks, executor, threads.submit, keep, self._observers)
            self.explained += len(blocks)

    def _executor(self, recipe: WorkerRecipe, blocks: int) -> AbstractContextManager[Executor]:
        executor: ExecutorName = "serial" if blocks <= FEW_BLOCKS else "ray"
        return started_executor(executor, recipe, self._settings, self._workers, "", self._observers)

    def _run(self, plan: Repair, evidence: Evidence, snapshot: Snapshot) -> Snapshot:
        store = self._store
        blocks = len(plan.score_blocks) + len(plan.attribution_blocks)
        with GroupThreads() as threads, self._executor(self._recipe, blocks) as executor:
            snapshot = self._drive("scoring", plan.score_blocks, executor, threads, snapshot)
            self.scored += len(plan.score_blocks)
            made = [
                path for block in plan.own_spectra for path in _stage(store, own_spectra(evidence, block))
            ]
            snapshot = self._drive("explaining", plan.attribution_blocks, executor, threads, snapshot)
            self.explained += len(plan.attribution_blocks)
        store.objects.delete(made)
        clear_staging(store, snapshot)
        return snapshot

    def _drive(
        self,
        stage: Stage,
        blocks: Sequence[Block],
        executor: Executor,
        threads: GroupThreads,
        snapshot: Snapshot,
    ) -> Snapshot:
        """Run blocks and record what came out in place of what is recorded."""
        keep = self._keeps(self._store.ledger, snapshot, "")
        results = drive(stage, blocks, executor, threads.submit, keep, self._observers)
        return snapshot.with_results(results)

    def _keeps(self, ledger: Ledger, snapshot: Snapshot, where: str) -> Callable[[BlockResult], None]:
        """What records a block, in place of what a ledger has recorded."""
        recorded = {"score": snapshot.scored, "attribution": snapshot.explained}

        def keep(result: BlockResult) -> None:
            earlier = recorded[result.kind].get(result.index)
            if result != earlier:
                ledger.replace(result)
            if earlier is not None and _values(result) != _values(earlier):
                self.changed.append(f"{result.kind} block {result.index}{where}")

        return keep


def _possible(plan: Repair) -> Repair:
    """The plan without the blocks whose source files are no longer what they were."""
    published, lost = PublishedChecksums(), {}
    checked: dict[str, str] = {}
    for block in plan.score_blocks:
        for part in block.slices:
            if part.file.url not in checked:
                checked[part.file.url] = _change_of(part.file, published)
        whys = [checked[part.file.url] for part in block.slices if checked[part.file.url]]
        if whys:
            lost[block.index] = "; ".join(whys)
    return plan.without(lost)


def _change_of(file: SourceFile, published: PublishedChecksums) -> str:
    """Why a source file cannot give the same spectra again; empty if it can."""
    try:
        found = inspect(file.url, file.redshift_url, published)
    except (QuarantineError, InputError, RetryError) as error:
        return f"its source file {file.url} cannot be read any more ({error.what} {error.got})".strip()
    if found.fingerprint != file.fingerprint:
        return f"its source file {file.url} has changed since it was read"
    return ""


def _stage(store: Store, selected: SelectedSpectra) -> list[str]:
    """Stage spectra beside those that are staged; paths of the objects that were not there before."""
    block_rows = store.configuration.block_rows
    made = []
    for index in np.unique(selected.row // block_rows).tolist():
        path = staging_path(index)
        part = selected.take(selected.row // block_rows == index)
        try:
            there = unstaged(store.objects.get(path), f"{store.url}/{path}", selected.flux.shape[1])
            both = (there, part.take(~np.isin(part.row, there.row)))
            part = SelectedSpectra.concatenate(selected.flux.shape[1], both)
            part = part.take(np.argsort(part.row, kind="stable"))
        except FileNotFoundError:
            made.append(path)
        store.objects.put(path, staged_bytes(part))
    return made


def _values(result: BlockResult) -> dict[str, str]:
    return {each.path: each.digest for each in result.objects}
