"""Executors of a run: this process, or actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.run.events import RunObservers, Waiting
from engine.run.executor import Executor, WorkerRecipe
from engine.run.serial import SerialExecutor
from flows.run.request import ExecutorName
from infra.settings import Settings
from models.observers import report

FEW_BLOCKS = 4
"""Up to so many blocks a command may run in this process: starting Ray would take longer."""


@contextmanager
def started_executor(
    name: ExecutorName,
    recipe: WorkerRecipe,
    settings: Settings,
    workers: int,
    run: str,
    observers: RunObservers,
) -> Iterator[Executor]:
    """An executor whose workers have loaded the models; it ends with the context.

    Parameters
    ----------
    workers : processes; 0 as in the settings.
    run : name of the run, for the log of its workers.

    Raises
    ------
    ConfigurationError : there is no cluster at the address, or it has too few resources.
    WhyspecError : what went wrong while a worker loaded the models.
    """
    if name == "serial":
        report(observers, Waiting("load the models"))
        with SerialExecutor(recipe) as serial:
            report(observers, Waiting(""))
            yield serial
        return
    # Imported here: Ray takes half a second that a serial run need not pay.
    from infra.log_output import worker_log
    from infra.ray_cluster import ray_cluster

    report(observers, Waiting("start Ray and load the models"))
    asked = settings.model_copy(update={"workers": workers or settings.workers})
    with ray_cluster(asked) as resources:
        # Not before: it imports Ray, which then reads the variables that the cluster sets for it.
        from engine.run.ray_pool import RayPoolExecutor

        with RayPoolExecutor(
            recipe,
            resources.workers,
            gpus=1 if resources.gpus else 0,
            ready_seconds=settings.ready_seconds,
            begin_process=worker_log(settings, run),
        ) as pool:
            report(observers, Waiting(""))
            yield pool
