"""Where a run's blocks are computed: this process, or actors of a Ray cluster."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack

from engine.executors.executor import Executor, WorkerRecipe
from engine.executors.serial import SerialExecutor
from flows.run_request import ExecutorName
from infra.ray_cluster import RayResources, ray_cluster
from infra.settings import Settings
from tasks.run_listener import current_listener


def run_cluster(settings: Settings, workers: int) -> AbstractContextManager[RayResources]:
    """Connect to Ray with so many workers (0: as in the settings), or use the connection there is.

    Raises
    ------
    ConfigurationError : there is no cluster at the address, or it has too few resources.
    """
    return ray_cluster(settings.model_copy(update={"workers": workers or settings.workers}))


def start_executor(
    name: ExecutorName, recipe: WorkerRecipe, settings: Settings, workers: int, stack: ExitStack
) -> Executor:
    """An executor whose workers have loaded the model; ``stack`` lets go of it.

    Raises
    ------
    ConfigurationError : there is no cluster at the address, or it has too few resources.
    WhyspecError : what went wrong while a worker loaded the model.
    """
    executor: Executor
    if name == "serial":
        current_listener().waiting("load the model")
        executor = SerialExecutor(recipe)
    else:
        # Importing Ray takes half a second that a serial run need not pay.
        from engine.executors.ray_pool import RayPoolExecutor

        current_listener().waiting("start Ray and load the model")
        resources = stack.enter_context(run_cluster(settings, workers))
        executor = RayPoolExecutor(
            recipe,
            resources.workers,
            gpus=1 if resources.gpus else 0,
            ready_seconds=settings.ready_seconds,
        )
    stack.enter_context(executor)
    current_listener().waiting("")
    return executor
