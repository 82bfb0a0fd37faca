"""A Prefect server, a worker, and the deployment of infra/prefect.yaml: a scheduled increment, end to end."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import ArtifactFilter, DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun

from flows.run_release import run_release
from infra.settings import Settings
from tests.servers.prefect import PrefectServer
from tests.small_run import (
    BLOCK_ROWS,
    OUTLIER_BLOCK_ROWS,
    REPOSITORY,
    SPECTRA,
    THRESHOLD,
    environment,
    small_request,
    tree_bytes,
)

PREFECT = Path(sys.executable).with_name("prefect")

SECONDS = 5
"""Between two increments by the second schedule."""


def runs_of(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    """Flow runs of a deployment, those to come too."""
    chosen = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    return client.read_flow_runs(deployment_filter=chosen)


def await_schedule(client: SyncPrefectClient, deployment: UUID) -> None:
    """Return when the server's scheduler, which looks every five seconds, has planned a run."""
    for _ in range(120):
        if runs_of(client, deployment):
            return
        time.sleep(0.5)
    raise AssertionError("the scheduler planned nothing in a minute")


def prefect(url: str, home: Path, cwd: Path, *tokens: str) -> subprocess.CompletedProcess[str]:
    own = environment(
        PREFECT_API_URL=url, PREFECT_HOME=str(home), PREFECT_LOGGING_TO_API_ENABLED="true",
        PREFECT_LOGGING_LEVEL="INFO", PREFECT_WORKER_QUERY_SECONDS="1",
    )  # fmt: skip
    return subprocess.run(
        [str(PREFECT), *tokens], env=own, cwd=cwd, capture_output=True, text=True, timeout=200, check=False
    )


def deployment_file(home: Path, release: Path, store: Path, model: Path) -> Path:
    """infra/prefect.yaml with the places of this test, and a second schedule that is due soon."""
    content = yaml.safe_load((REPOSITORY / "infra" / "prefect.yaml").read_text())
    content["deployments"][0]["schedules"].append({"interval": SECONDS})
    content["deployments"][0]["parameters"]["request"] = {
        "release": [str(release)], "store": str(store), "models": [str(model)], "threshold": THRESHOLD,
        "preset": "reference-code", "windows": [64, 512], "baselines": 2, "block_rows": BLOCK_ROWS,
        "outlier_block_rows": OUTLIER_BLOCK_ROWS, "executor": "serial",
    }  # fmt: skip
    path = home / "prefect.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.slow
def test_a_deployed_increment_shows_itself_on_the_server(
    release: Path, model: Path, trapped: Path, tmp_path: Path, prefect_server: PrefectServer
) -> None:
    store = tmp_path / "deployed.zarr"
    url = prefect_server.api_url
    with SyncPrefectClient(url) as client:
        client.create_work_pool(WorkPoolCreate(name="whyspec", type="process"))
        file = deployment_file(tmp_path, release, store, model)
        deploy = ("--no-prompt", "deploy", "--all", "--prefect-file", str(file))
        deployed = prefect(url, tmp_path, tmp_path, *deploy)
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        deployment = client.read_deployment_by_name("process/increment")
        crons = {getattr(each.schedule, "cron", "") for each in deployment.schedules}
        assert crons == {"30 2 * * *", ""}
        assert deployment.global_concurrency_limit is not None
        assert deployment.global_concurrency_limit.limit == 1
        # Nobody asks for a run: the schedule does.
        await_schedule(client, deployment.id)
        worked = prefect(
            url, tmp_path, trapped, "worker", "start", "--pool", "whyspec", "--run-once", "--type", "process",
            "--limit", "1",
        )  # fmt: skip
        ended = {run.state_name: run for run in runs_of(client, deployment.id)}
        client.delete_deployment(deployment.id)
        assert "Completed" in ended, worked.stdout + worked.stderr
        flow_run = ended["Completed"]
        assert flow_run.auto_scheduled
        assert not (trapped / "sprung").exists(), (trapped / "sprung").read_text()
        # What was asked is there to see.
        assert flow_run.parameters["request"]["store"] == str(store)
        artifacts: list[Any] = client.read_artifacts(artifact_filter=ArtifactFilter())
        logs = [log.message for log in client.read_logs()]
    alone = tmp_path / "alone.zarr"
    summary = run_release(small_request(release, alone, model), Settings())
    assert tree_bytes(store) == tree_bytes(alone)

    by_key = {artifact.key: artifact for artifact in artifacts if artifact.flow_run_id == flow_run.id}
    assert {key: by_key[key].type for key in sorted(by_key)} == {
        "whyspec-counts": "table",
        "whyspec-explaining": "progress",
        "whyspec-scoring": "progress",
        "whyspec-summary": "markdown",
    }
    assert (by_key["whyspec-scoring"].data, by_key["whyspec-explaining"].data) == (100.0, 100.0)
    assert (
        f"scoring: {SPECTRA} of {SPECTRA} spectra, {summary.outliers} outliers"
        in by_key["whyspec-scoring"].description
    )
    text = by_key["whyspec-summary"].data
    assert f"**{SPECTRA} spectra**, **{summary.outliers} outliers** ({summary.explained} explained)" in text
    assert str(store) in text
    for label, number in summary.status_counts:
        assert f"| {label} | {number} |" in text
    assert any(re.fullmatch(rf"run \S+ ended: {SPECTRA} spectra, .*", message) for message in logs)
