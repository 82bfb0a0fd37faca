"""The summary of a run: what it did and what is in the store after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.store.blocks import BlockResult
from engine.store.explanation_set import has_unfinished_sets
from engine.store.routing import summed
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from flows.run.calibration_fit import calibration_warnings
from flows.run.class_summary import class_summaries, class_warnings
from flows.run.preparation import PreparedRun
from flows.run.request import RunSummary
from models.calibration.false_discovery import false_discovery_rate
from models.row_status import RowStatus


def summary_of_nothing(prepared: PreparedRun) -> RunSummary:
    """The summary of a run that has nothing to do but what a killed one left: its staging."""
    if prepared.open_store.has_staging():
        clear_staging(prepared.open_store, prepared.snapshot)
    return summary_of(prepared, prepared.snapshot, (), (), 0.0)


def clear_staging(store: Store, snapshot: Snapshot) -> None:
    """Delete the staged spectra, unless outliers wait for an explanation, which needs them."""
    if not len(snapshot.waiting_outliers) and not has_unfinished_sets(store):
        store.clear_staging()


def summary_of(
    prepared: PreparedRun,
    snapshot: Snapshot,
    scored: Sequence[BlockResult],
    explained: Sequence[BlockResult],
    seconds: float,
) -> RunSummary:
    """Counts of what a run's blocks did and of what the store's ledger holds after it."""
    states = prepared.plan.counts
    statuses: Counter[str] = Counter()
    for result in scored:
        statuses.update(dict(result.status_counts))
    unreadable = [file for result in scored for file in result.unreadable]
    quarantined = {file.url: file for file in (*prepared.listing.refused, *unreadable)}
    remarks: Counter[str] = Counter()
    for result in scored:
        remarks.update(dict(result.remark_counts))
    cautions: Counter[str] = Counter()
    for result in explained:
        cautions.update(dict(result.caution_counts))
    classes = summed(count for result in scored for count in result.classes)
    return RunSummary(
        store=prepared.open_store.url,
        files_new=states["new"] + states["retry"],
        files_changed=states["changed"],
        files_unchanged=states["unchanged"],
        files_unfinished=states["unfinished"],
        files_gone=states["gone"],
        files_refused=states["refused"],
        skipped=prepared.listing.skipped,
        quarantined=tuple(quarantined[url] for url in sorted(quarantined)),
        spectra=sum(result.spectra for result in scored),
        status_counts=tuple(sorted(statuses.items())),
        classes=class_summaries(classes, prepared.configuration.models),
        warnings=(
            *prepared.warnings,
            *class_warnings(classes, prepared.cards),
            *calibration_warnings(prepared.open_store, scored, prepared.cards),
        ),
        outliers=sum(len(result.outliers) for result in scored),
        false_discovery_rate=false_discovery_rate(
            prepared.configuration.threshold,
            statuses[RowStatus.SCORED.label],
            sum(len(result.outliers) for result in scored),
        ),
        explained=sum(result.spectra for result in explained),
        caution_counts=tuple(sorted(cautions.items())),
        remark_counts=tuple(sorted(remarks.items())),
        store_spectra=snapshot.spectra,
        store_outliers=snapshot.outliers,
        store_waiting=len(snapshot.waiting_outliers),
        seconds=seconds,
    )
