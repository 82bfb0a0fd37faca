"""The Prefect task of a run: a group of blocks, one after the other, each kept when it is done.

One task per group and not per block or spectrum, because a task costs milliseconds and a row in
Prefect's database. Running a group again is safe: blocks that are kept are skipped, and a block that was
cut off writes the same bytes.
"""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.tasks import Task, exponential_backoff

from engine.run.drive import RETRIES, BlockGroup, GroupWork
from models.errors import RetryError


def _may_pass(_: Task[Any, Any], __: TaskRun, state: State[Any]) -> bool:
    """Whether a task failed by a fault that may pass: Prefect hands over the error as the state's data."""
    return isinstance(state.data, RetryError)


@task(
    name="block-group",
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=1),
    retry_jitter_factor=0.5,
    retry_condition_fn=_may_pass,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_group(work: GroupWork, group: BlockGroup) -> None:
    """Run the blocks of a group.

    Raises
    ------
    RetryError : after several tries with growing pauses.
    WhyspecError : at once, when trying again cannot help.
    """
    work.run(group)


def submit_group(work: GroupWork, group: BlockGroup) -> PrefectFuture[None]:
    """Run a group as a task of the current flow run: an :data:`engine.run.drive.SubmitGroup`."""
    return run_group.submit(work, group)
