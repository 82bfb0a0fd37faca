"""A Ray cluster of several nodes on this machine, of which actors and whole nodes can be killed."""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Iterator

import psutil
import pytest
from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}

# A node counts as dead after a second and a half without an answer; Ray's own values add up to 15 s.
_HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 3,
}

_SERVANTS = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")


class RayNodes:
    """One head and ``nodes`` other nodes, each with one CPU."""

    def __init__(self, nodes: int) -> None:
        # A port where nothing can listen: Ray starts the process of a dashboard that it is not to include.
        head = {**NODE, "include_dashboard": False, "dashboard_port": -1, "_system_config": _HEALTH}
        with warnings.catch_warnings():
            # Ray does not close the socket with which it tries the port.
            warnings.simplefilter("ignore", ResourceWarning)
            self._cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
        self._wanted = nodes
        self._others: list[psutil.Process] = []
        self.complete()

    @property
    def address(self) -> str:
        """For ``WHYSPEC_RAY_ADDRESS``."""
        return str(self._cluster.address)

    def complete(self) -> None:
        """Put new nodes in the place of those that were killed."""
        self._others = [node for node in self._others if node.is_running()]
        while len(self._others) < self._wanted:
            self._others.append(_raylet(self._cluster.add_node(**NODE)))

    def actors(self) -> list[psutil.Process]:
        """Processes that do the work of a run, on all nodes."""
        head = _raylet(self._cluster.head_node)
        return [actor for node in (head, *self._others) for actor in _actors(node)]

    def kill_a_working_node(self) -> bool:
        """End at once everything of one node, not the head, that has an actor; False if there is none."""
        for node in self._others:
            if _actors(node):
                for process in (node, *node.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.send_signal(signal.SIGKILL)
                node.wait(10)
                return True
        return False

    def shutdown(self) -> None:
        """End all."""
        self._cluster.shutdown()


def _raylet(node: object) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)  # type: ignore[attr-defined]


def _actors(raylet: psutil.Process) -> list[psutil.Process]:
    found = []
    for process in raylet.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            name = (process.cmdline() or [""])[0]
            if name.startswith("ray::") and not name.startswith(_SERVANTS):
                found.append(process)
    return found


@contextlib.contextmanager
def ray_nodes(nodes: int) -> Iterator[RayNodes]:
    """A cluster for a module's tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = RayNodes(nodes)
        try:
            yield cluster
        finally:
            cluster.shutdown()
