"""The work of a run: score every spectrum, select the outliers, explain them, account for it."""

from __future__ import annotations

import time

from engine.run.drive import SubmitGroup, drive
from engine.run.events import RunObservers, WorkersReady
from engine.run.executor import Executor
from engine.run.plan import begin, begin_attribution, gone_rows
from engine.store.blocks import BlockResult
from flows.run.catalogue import complete_catalogue
from flows.run.log import log_marks
from flows.run.preparation import PreparedRun
from flows.run.request import RunSummary
from flows.run.summary import clear_staging, summary_of
from models.observers import report


def work(
    prepared: PreparedRun, executor: Executor, submit: SubmitGroup, observers: RunObservers
) -> RunSummary:
    """Score, mark what is superseded or gone, explain as the request says, write the catalogue.

    Safe to stop at any moment and to run again: blocks that are in the store's ledger are not run
    again, all others give the same bytes as they would have.

    Raises
    ------
    RetryError : a fault that did not pass within the retries; running again continues.
    WhyspecError : a block failed for good.
    """
    store, begun = prepared.open_store, time.monotonic()
    snapshot = begin(store, prepared.plan, prepared.snapshot)
    report(observers, WorkersReady(executor.workers, prepared.listing.refused))
    keep = store.ledger.commit
    scored = drive("scoring", prepared.plan.blocks, executor, submit, keep, observers)
    snapshot = snapshot.with_results(scored)
    superseded = snapshot.newly_superseded
    snapshot = store.mark_superseded(snapshot, superseded)
    log_marks("superseded", len(superseded))
    gone = gone_rows(snapshot, prepared.plan, prepared.listing)
    changed = snapshot.flag_changes("gone", gone)
    snapshot = store.mark_gone(snapshot, gone)
    log_marks("gone", changed)
    explained: tuple[BlockResult, ...] = ()
    top = prepared.request.explain_top
    if top != 0:
        snapshot = begin_attribution(store, snapshot, top)
        blocks = snapshot.unexplained_blocks
        explained = tuple(drive("explaining", blocks, executor, submit, keep, observers))
        snapshot = snapshot.with_results(explained)
    clear_staging(store, snapshot)
    complete_catalogue(store, snapshot, observers)
    return summary_of(prepared, snapshot, scored, explained, time.monotonic() - begun)
