"""Processing of a release from the command line: here, or as a flow run of the user's Prefect server."""

from __future__ import annotations

from engine.run.events import RunObservers
from flows.run.execution import ReadyRun, execute, in_threads, new_run_name
from flows.run.request import RunRequest, RunSummary
from infra.prefect_server import has_server, on_server
from infra.settings import Settings


def run_release(request: RunRequest, settings: Settings, observers: RunObservers = ()) -> RunSummary:
    """Process a release. Without work to do, neither Prefect nor Ray is imported.

    Raises
    ------
    RetryError : the Prefect server does not answer; or see :func:`flows.run.execution.execute`.
    WhyspecError : see there.
    """
    return execute(new_run_name(), request, settings, observers, _on_server if has_server() else in_threads)


def _on_server(run: ReadyRun) -> RunSummary:
    with on_server():
        from flows.run.flow_run import in_flow

        return in_flow(run)
