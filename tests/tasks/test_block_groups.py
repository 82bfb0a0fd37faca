"""Groups of blocks as Prefect tasks: what is retried how often, what is not, and what the server shows."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun
from prefect.context import FlowRunContext
from prefect.task_runners import ThreadPoolTaskRunner

from engine.run.drive import RETRIES, drive
from engine.store.ledger import Ledger
from engine.store.objects import ObjectTree
from models.errors import RetryError, StoreError
from tasks.block_groups import run_group, submit_group
from tests.engine.store.store_builders import configuration
from tests.failing_executor import FailingExecutor, Seen, blocks
from tests.servers.prefect import PrefectServer

AWAY = RetryError("The store did not answer.", where="store")


def settled_tasks(prefect: PrefectServer, run: UUID) -> list[TaskRun]:
    """The task runs of a flow run, once the server has written down what it was told of them."""
    flow_run = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    with SyncPrefectClient(prefect.api_url) as client:
        for _ in range(600):
            tasks = client.read_task_runs(flow_run_filter=flow_run)
            if tasks and all(task.state is not None and task.state.is_final() for task in tasks):
                return tasks
            time.sleep(0.1)
    raise AssertionError(f"not settled: {[(task.name, task.state_name) for task in tasks]}")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(ObjectTree(str(tmp_path)), configuration())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, prefect: PrefectServer) -> None:
    monkeypatch.setattr(run_group, "retry_delay_seconds", [0.01] * RETRIES)
    monkeypatch.setattr(run_group, "retry_jitter_factor", None)


def drive_in_tasks(executor: FailingExecutor, count: int, ledger: Ledger, seen: Seen) -> str:
    """Drive blocks within a flow run; returns its id."""

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))  # type: ignore[arg-type]
    def stage() -> str:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        drive("explaining", blocks(*range(count)), executor, submit_group, ledger.commit, [seen])
        return str(context.flow_run.id)

    return stage()


def test_a_passing_fault_is_retried_from_the_block_that_met_it(
    ledger: Ledger, prefect: PrefectServer
) -> None:
    executor, seen = FailingExecutor({1: [AWAY, AWAY], 5: [AWAY]}, slots=2), Seen()
    run = drive_in_tasks(executor, 8, ledger, seen)
    assert executor.calls == {index: {1: 3, 5: 2}.get(index, 1) for index in range(8)}
    assert sorted(seen.done) == list(range(8))
    assert sorted(seen.failed) == [1, 1, 5]
    assert [*ledger.results("attribution")] == list(range(8))
    # The server shows the groups as tasks, and which of them ran again.
    tasks = settled_tasks(prefect, run)
    assert {task.name.rpartition("-")[0] for task in tasks} == {"block-group"}
    assert sorted(task.run_count for task in tasks) == [1, 1, 1, 1, 1, 1, 2, 3]


def test_a_fault_that_does_not_pass_ends_the_run_with_what_was_done(ledger: Ledger) -> None:
    executor = FailingExecutor({1: [AWAY] * 20})
    with pytest.raises(RetryError, match="did not answer"):
        drive_in_tasks(executor, 3, ledger, Seen())
    assert executor.calls == {0: 1, 1: 1 + RETRIES}
    assert sorted(ledger.results("attribution")) == [0]


def test_an_error_that_cannot_pass_is_not_retried(ledger: Ledger) -> None:
    executor = FailingExecutor({0: [StoreError("The store is damaged.", where="store")]})
    with pytest.raises(StoreError, match="damaged"):
        drive_in_tasks(executor, 2, ledger, Seen())
    assert executor.calls == {0: 1}
    assert ledger.results("attribution") == {}
