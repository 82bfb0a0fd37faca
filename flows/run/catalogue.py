"""The last stage of a run: the store's catalogue gets what the run added."""

from __future__ import annotations

import logging

from engine.catalogue.building import CatalogueUpdate, update_catalogue
from engine.run.events import RunObservers, Waiting
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from models.log_events import log_event
from models.observers import report

_LOG = logging.getLogger(__name__)


def complete_catalogue(
    store: Store, snapshot: Snapshot, observers: RunObservers = (), *, anew: str = ""
) -> CatalogueUpdate:
    """Bring the catalogue up to date, for the process that holds the store's lock.

    Raises
    ------
    WhyspecError : see :func:`engine.catalogue.building.update_catalogue`.
    """

    def on_written(done: int, rows: int) -> None:
        report(observers, Waiting(f"write the catalogue: {done:,} of {rows:,} rows"))

    report(observers, Waiting("write the catalogue"))
    update = update_catalogue(store, snapshot, on_written, anew=anew)
    report(observers, Waiting(""))
    if update.anew:
        log_event(
            _LOG, logging.WARNING, "catalogue-anew", f"the catalogue was made anew: {update.anew}",
            reason=update.anew,
        )  # fmt: skip
    if update.written:
        log_event(
            _LOG, logging.INFO, "catalogue-written", f"catalogue: {update.written} rows written",
            rows=update.written, catalogue_rows=update.rows,
        )  # fmt: skip
    return update
