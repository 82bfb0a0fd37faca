"""Runs on a user's Prefect server: the same store as without one, and what the server shows of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun

from engine.clustering.settings import ClusteringSettings
from engine.store.run_lock import run_lock
from flows import deployed
from flows.cluster import cluster, cluster_explanations
from flows.run.execution import execute, in_threads
from flows.run_release import run_release
from infra.settings import Settings
from models.errors import RetryError
from tests.failing_executor import Seen
from tests.servers.prefect import PrefectServer
from tests.small_run import small_request, tree_bytes

pytestmark = pytest.mark.slow


class ServerView:
    """What has appeared on the server since this was made."""

    def __init__(self, server: PrefectServer) -> None:
        self._url = server.api_url
        self._before: set[object] = set()
        self._before = {run.id for run in (*self.flow_runs("process"), *self.flow_runs("cluster"))}

    def flow_runs(self, name: str) -> list[FlowRun]:
        """Flow runs of that name, the oldest first."""
        with SyncPrefectClient(self._url) as client:
            runs = client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=[name])))
        return sorted((run for run in runs if run.id not in self._before), key=lambda run: str(run.created))

    def task_counts(self, run: FlowRun) -> list[int]:
        """How often each task of a flow run was run."""
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        with SyncPrefectClient(self._url) as client:
            return [task.run_count for task in client.read_task_runs(flow_run_filter=chosen)]

    def artifacts(self, run: FlowRun) -> dict[str, Any]:
        with SyncPrefectClient(self._url) as client:
            found = client.read_artifacts(artifact_filter=ArtifactFilter())
        return {str(artifact.key): artifact for artifact in found if artifact.flow_run_id == run.id}


def test_a_run_on_a_server_leaves_the_same_store_and_shows_itself(
    release: Path, model: Path, tmp_path: Path, prefect: PrefectServer
) -> None:
    alone = small_request(release, tmp_path / "alone.zarr", model)
    expected = execute("alone", alone, Settings(), (), in_threads)
    view, seen = ServerView(prefect), Seen()
    shown = small_request(release, tmp_path / "shown.zarr", model)
    summary = run_release(shown, Settings(), [seen])
    assert replace(summary, store="", seconds=0.0) == replace(expected, store="", seconds=0.0)
    assert tree_bytes(tmp_path / "shown.zarr") == tree_bytes(tmp_path / "alone.zarr")
    (run,) = view.flow_runs("process")
    assert run.state is not None
    assert run.state.is_completed()
    assert run.parameters["request"]["store"] == shown.store
    # So few blocks make a group each.
    assert view.task_counts(run) == [1] * len(seen.done)
    artifacts = view.artifacts(run)
    assert {key: artifacts[key].type for key in sorted(artifacts)} == {
        "whyspec-counts": "table",
        "whyspec-explaining": "progress",
        "whyspec-scoring": "progress",
        "whyspec-summary": "markdown",
    }
    assert artifacts["whyspec-scoring"].data == artifacts["whyspec-explaining"].data == 100.0

    # Nothing to do: nothing to show.
    assert not run_release(shown, Settings()).did_something
    assert len(view.flow_runs("process")) == 1


def test_a_run_that_fails_raises_its_own_error_and_shows_it(
    release: Path, model: Path, tmp_path: Path, prefect: PrefectServer
) -> None:
    request, view = small_request(release, tmp_path / "odd.zarr", model), ServerView(prefect)

    class Disk:
        def on_event(self, event: object) -> None:
            if type(event).__name__ == "BlockDone":
                raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        run_release(request, Settings(), [Disk()])
    (run,) = view.flow_runs("process")
    assert run.state is not None
    assert run.state.is_failed()
    assert run_release(request, Settings()).spectra > 0


def test_a_clustering_on_a_server_shows_itself(
    release: Path, model: Path, tmp_path: Path, prefect: PrefectServer
) -> None:
    store = tmp_path / "odd.zarr"
    execute("alone", small_request(release, store, model), Settings(), (), in_threads)
    view = ServerView(prefect)
    shown = cluster(str(store), ClusteringSettings(name="shown", clusters=2), ())
    assert shown.to_dict() | {"name": ""} == cluster_explanations(
        str(store), ClusteringSettings(name="again", clusters=2)
    ).to_dict() | {"name": ""}
    with run_lock(str(store), "run"), pytest.raises(RetryError, match="Another process is writing"):
        cluster(str(store), ClusteringSettings(), ())
    first, second = view.flow_runs("cluster")
    assert first.parameters["store"] == str(store)
    assert first.state is not None
    assert second.state is not None
    assert (first.state.is_completed(), second.state.is_failed()) == (True, True)


def test_deployments_find_their_flows_by_name() -> None:
    flows: tuple[Flow[..., Any], ...] = (deployed.process, deployed.cluster, deployed.train)
    assert [flow.name for flow in flows] == ["process", "cluster", "train"]
    assert [list(flow.parameters.properties) for flow in flows] == [
        ["request"],
        ["store", "settings"],
        ["request"],
    ]
