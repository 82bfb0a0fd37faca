"""Processing a release from the command line: the flow, and the servers it needs, only if there is work."""

from __future__ import annotations

import time
from dataclasses import replace

from engine.store.store import Store
from flows.preparation import handed_over, prepare
from flows.run_account import account_of
from flows.run_record import recorded
from flows.run_request import RunRequest, RunSummary
from infra.prefect_environment import prepare_prefect
from infra.settings import Settings
from tasks.run_listener import current_listener


@recorded
def run_release(request: RunRequest, settings: Settings) -> RunSummary:
    """Process a release on this machine's own or the user's Prefect server.

    When there is nothing to do it says so without starting Prefect or Ray.

    Raises
    ------
    WhyspecError : see :func:`flows.preparation.prepare` and :func:`flows.process.process`.
    """
    begun = time.monotonic()
    prepared = prepare(request, settings)
    if prepared.store is not None and not prepared.has_work:
        return account_of(prepared, prepared.store, (), (), time.monotonic() - begun)
    if prepared.store is None:
        # A place that cannot be written to is told before servers are started.
        prepared = replace(prepared, store=Store.create(request.store, prepared.configuration))
    current_listener().waiting("start Prefect")
    # Imported here: a second run over the same release has no need of them.
    prepare_prefect()
    from flows.process import process
    from infra.prefect_server import prefect_api

    with prefect_api(), handed_over(prepared):
        summary = process(request)
    return replace(summary, seconds=time.monotonic() - begun)
