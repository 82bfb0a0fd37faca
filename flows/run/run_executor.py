"""Where a run's blocks are computed: this process, or actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from engine.run.executor import Executor, WorkerRecipe
from engine.run.serial import SerialExecutor
from flows.run.preparation import PreparedRun
from flows.run.run_request import ExecutorName
from infra.ray_cluster import ray_cluster
from infra.settings import Settings
from tasks.run_listener import current_listener

_handed_over: ContextVar[Executor] = ContextVar("whyspec_run_executor")


def run_executor(prepared: PreparedRun, stack: ExitStack) -> Executor:
    """The executor of a run: the one that was handed over, else a new one, see :func:`start_executor`."""
    handed = _handed_over.get(None)
    if handed is not None:
        # It ends with the flow's work: threads that wait for its blocks would hold an interrupted flow.
        stack.push(handed)
        return handed
    settings, request = prepared.settings, prepared.request
    recipe = WorkerRecipe(
        prepared.models, request.store, settings.threads_per_worker, settings.occlusion_memory
    )
    return start_executor(request.executor, recipe, settings, request.workers, stack)


@contextmanager
def executor_handed_over(executor: Executor) -> Iterator[None]:
    """Within it, the flow takes this executor: it may start before the flow can, and end after it."""
    token = _handed_over.set(executor)
    try:
        yield
    finally:
        _handed_over.reset(token)


def start_executor(
    name: ExecutorName, recipe: WorkerRecipe, settings: Settings, workers: int, stack: ExitStack
) -> Executor:
    """An executor whose workers have loaded the models; ``stack`` lets go of it.

    Parameters
    ----------
    workers : processes; 0 as in the settings.

    Raises
    ------
    ConfigurationError : there is no cluster at the address, or it has too few resources.
    WhyspecError : what went wrong while a worker loaded the models.
    """
    executor: Executor
    if name == "serial":
        current_listener().waiting("load the models")
        executor = SerialExecutor(recipe)
    else:
        # Importing Ray takes half a second that a serial run need not pay.
        from engine.run.ray_pool import RayPoolExecutor

        current_listener().waiting("start Ray and load the models")
        asked = settings.model_copy(update={"workers": workers or settings.workers})
        resources = stack.enter_context(ray_cluster(asked))
        executor = RayPoolExecutor(
            recipe,
            resources.workers,
            gpus=1 if resources.gpus else 0,
            ready_seconds=settings.ready_seconds,
        )
    stack.enter_context(executor)
    current_listener().waiting("")
    return executor
