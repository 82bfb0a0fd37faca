"""The catalogue of a store brought up to date by a command of its own."""

from __future__ import annotations

from engine.catalogue.building import CatalogueUpdate
from engine.run.events import RunObservers, Waiting
from engine.store.run_lock import run_lock
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from flows.run.catalogue import complete_catalogue
from models.observers import report


def update_catalogue_of(
    url: str, observers: RunObservers = (), *, anew: bool = False, wait: float = 0.0
) -> CatalogueUpdate:
    """Write what the catalogue of a store lacks.

    Parameters
    ----------
    anew : whether all of it is made anew.
    wait : seconds to wait for another process that writes to the store.

    Raises
    ------
    InputError : there is no store, or it cannot be written.
    StoreError : the store is damaged.
    RetryError : another process writes to the store.
    """
    store = Store.open(url)
    with run_lock(url, "catalogue", wait=wait, on_wait=lambda what: report(observers, Waiting(what))) as lock:
        store.ledger.guard = lock.check
        why = "it was asked for" if anew else ""
        return complete_catalogue(store, Snapshot.read(store.ledger), observers, anew=why)
