"""Processing a release from the command line: the flow, and the servers it needs, only if there is work."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace

from flows.run.dense_cost import warn_of_dense_cost
from flows.run.locked_run import locked_run
from flows.run.preparation import handed_over
from flows.run.run_executor import executor_handed_over, run_executor
from flows.run.run_record import recorded
from flows.run.run_request import RunRequest, RunSummary
from flows.run.run_summary import summary_of_nothing
from infra.prefect_environment import prepare_prefect
from infra.settings import Settings
from tasks.run_listener import current_listener


@recorded
def run_release(request: RunRequest, settings: Settings) -> RunSummary:
    """Process a release on this machine's own or the user's Prefect server.

    When there is nothing to do it says so without starting Prefect or Ray.

    Raises
    ------
    WhyspecError : see :func:`flows.run.locked_run.locked_run` and :func:`flows.process.process`.
    """
    begun = time.monotonic()
    # A place that cannot be written to, or that another run holds, is told before servers are started.
    with locked_run(request, settings) as prepared:
        if not prepared.has_work:
            return summary_of_nothing(prepared, time.monotonic() - begun)
        warn_of_dense_cost(prepared.models, prepared.cards, prepared.configuration.attribution)
        # Imported here: a second run over the same release has no need of them.
        prepare_prefect()
        from infra.prefect_server import prefect_starting

        with prefect_starting() as answering, ExitStack() as stack:
            # Both take seconds to start: the workers meanwhile.
            from flows.process import process

            executor = run_executor(prepared, stack)
            current_listener().waiting("start Prefect")
            stack.enter_context(answering())
            stack.enter_context(handed_over(prepared))
            stack.enter_context(executor_handed_over(executor))
            summary = process(request)
    return replace(summary, seconds=time.monotonic() - begun)
