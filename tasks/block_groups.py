"""The Prefect task of a run: a group of blocks, one after the other, each committed when it is done.

One task per group and not per block or spectrum, because a task costs milliseconds and a row in
Prefect's database. Running a group again is safe: committed blocks are skipped, and a block that was
cut off writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from engine.run.executor import Executor
from engine.store.blocks import AttributionBlock, ScoreBlock
from models.errors import RetryError
from tasks.block_commits import BlockCommits

Block = ScoreBlock | AttributionBlock
BlockGroup = tuple[Block, ...]

RETRIES = 4
LARGEST_GROUP = 32
_GROUPS_PER_SLOT = 8


def grouped(blocks: Sequence[Block], slots: int) -> list[BlockGroup]:
    """Blocks in order, cut into groups: enough of them to keep ``slots`` workers busy to the end."""
    size = max(1, min(LARGEST_GROUP, len(blocks) // (slots * _GROUPS_PER_SLOT)))
    return [tuple(blocks[start : start + size]) for start in range(0, len(blocks), size)]


def _is_passing(_: Task[Any, Any], __: TaskRun, state: State[Any]) -> bool:
    """Whether a task failed by a fault that may pass: Prefect hands over the error as the state's data."""
    return isinstance(state.data, RetryError)


@task(
    name="block-group",
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=1),
    retry_jitter_factor=0.5,
    retry_condition_fn=_is_passing,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_group(blocks: BlockGroup, executor: Executor, commits: BlockCommits) -> int:
    """Run and commit the blocks of a group; returns how many there were.

    Raises
    ------
    RetryError : after several tries with growing pauses.
    WhyspecError : at once, when trying again cannot help.
    """
    for block in blocks:
        if commits.is_stopped():
            break
        if commits.is_done(block):
            continue
        try:
            commits.commit(executor.run(block))
        except RetryError as error:
            if commits.is_stopped():
                break  # the executor was closed under it: nothing to retry
            commits.retrying(block, error)
            raise
    return len(blocks)
