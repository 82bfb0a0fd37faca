"""A run that is alone on its store: the lock first, then the plan, then work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from engine.run.events import RunObservers, Waiting
from engine.store.objects import ObjectTree
from engine.store.run_lock import run_lock
from engine.store.run_state import RunState
from engine.store.store import Store, check_place
from flows.run.preparation import PreparedRun, prepare
from flows.run.request import RunRequest
from infra.settings import Settings
from models.observers import report


@contextmanager
def locked_run(
    request: RunRequest,
    settings: Settings,
    observers: RunObservers = (),
    state: Callable[[], RunState] = RunState,
) -> Iterator[PreparedRun]:
    """A prepared run on a store that is there and that no other process writes to while the block runs.

    Where there is no store yet, the release is listed first, so that nothing is written anywhere for a
    run that is refused.

    Parameters
    ----------
    state : how far the run is; the lock shows it to other processes.

    Raises
    ------
    RetryError : another process holds the store.
    WhyspecError : see :func:`flows.run.preparation.prepare`.
    """

    def on_wait(what: str) -> None:
        report(observers, Waiting(what))

    prepared = None
    if not Store.exists(request.store):
        prepared = prepare(request, settings, observers)
        check_place(ObjectTree(request.store), prepared.configuration)
    with run_lock(request.store, "run", wait=request.wait, state=state, on_wait=on_wait) as lock:
        if prepared is None or Store.exists(request.store):
            # There was a store, or another run made it while this one listed the release.
            prepared = prepare(request, settings, observers)
        if prepared.store is None:
            prepared = replace(prepared, store=Store.create(request.store, prepared.configuration))
        prepared.open_store.ledger.guard = lock.check
        yield prepared
