"""A run that is alone on its store: the lock first, then the plan, then work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from engine.store.objects import ObjectTree
from engine.store.run_lock import run_lock
from engine.store.store import Store, check_place
from flows.run.preparation import PreparedRun, prepare
from flows.run.run_request import RunRequest
from infra.settings import Settings
from tasks.run_listener import ListenerGroup, current_listener, listening
from tasks.run_tally import RunTally


@contextmanager
def locked_run(request: RunRequest, settings: Settings) -> Iterator[PreparedRun]:
    """A prepared run on a store that is there and that no other process writes to while the block runs.

    Where there is no store yet, the release is listed first, so that nothing is written anywhere for a
    run that is refused. The lock shows others how far the run is.

    Raises
    ------
    RetryError : another process holds the store.
    WhyspecError : see :func:`flows.run.preparation.prepare`.
    """
    tally = RunTally()
    with listening(ListenerGroup(current_listener(), tally)):
        prepared = None
        if not Store.exists(request.store):
            prepared = prepare(request, settings)
            check_place(ObjectTree(request.store), prepared.configuration)
        told = current_listener().waiting
        with run_lock(request.store, "run", wait=request.wait, state=tally.state, told=told) as lock:
            if prepared is None or Store.exists(request.store):
                # There was a store, or another run made it while this one listed the release.
                prepared = prepare(request, settings)
            if prepared.store is None:
                prepared = replace(prepared, store=Store.create(request.store, prepared.configuration))
            prepared.open_store.ledger.guard = lock.check
            yield prepared
