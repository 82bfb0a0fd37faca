"""The Ray cluster of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager

from flows.preparation import PreparedRun
from infra.ray_cluster import RayResources, ray_cluster


def run_cluster(prepared: PreparedRun) -> AbstractContextManager[RayResources]:
    """Connect to Ray with the workers that were asked for, or use the connection there is.

    Raises
    ------
    ConfigurationError : there is no cluster at the address, or it has too few resources.
    """
    workers = prepared.request.workers or prepared.settings.workers
    return ray_cluster(prepared.settings.model_copy(update={"workers": workers}))
