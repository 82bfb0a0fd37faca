"""The flow that processes a release: score every spectrum, select the outliers, explain them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from engine.run.executor import Executor
from engine.run.plan import begin, begin_attribution, gone_rows
from engine.store.blocks import BlockResult
from engine.store.store import Store
from flows.run.locked_run import locked_run
from flows.run.preparation import prepared_run
from flows.run.run_executor import run_executor
from flows.run.run_publication import published
from flows.run.run_record import log_marks, log_plan, recorded
from flows.run.run_request import RunRequest, RunSummary
from flows.run.run_summary import summary_of, summary_of_nothing
from infra.settings import load_settings
from tasks.block_commits import BlockCommits
from tasks.block_groups import Block, grouped, run_group
from tasks.run_listener import Stage, current_listener

# Threads are made when they are needed, as many as the executor has slots.
_THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=1024)


@flow(name="process", task_runner=_THREADS, persist_result=False)  # type: ignore[arg-type]  # invariant
@recorded
@published
def process(request: RunRequest) -> RunSummary:
    """List, plan, score, mark what is superseded, explain, account.

    Safe to stop at any moment and to run again: blocks that are in the store's ledger are not run
    again, all others give the same bytes as they would have.

    Raises
    ------
    RetryError : a fault that did not pass within the retries; running the flow again continues.
    WhyspecError : release, model, store, options or machine do not fit together.
    """
    begun = time.monotonic()
    with ExitStack() as hold:
        prepared = prepared_run() or hold.enter_context(locked_run(request, load_settings()))
        store = prepared.open_store
        log_plan(prepared)
        if not prepared.has_work:
            return summary_of_nothing(prepared, time.monotonic() - begun)
        snapshot = begin(store, prepared.plan, prepared.snapshot)
        with ExitStack() as stack:
            executor = run_executor(prepared, stack)
            current_listener().ready(executor.workers, prepared.listing.refused)
            scored = _run_stage("scoring", prepared.plan.blocks, store, executor)
            snapshot = snapshot.with_results(scored)
            superseded = snapshot.newly_superseded
            snapshot = store.mark_superseded(snapshot, superseded)
            log_marks("superseded", len(superseded))
            gone = gone_rows(snapshot, prepared.plan, prepared.listing)
            snapshot = store.mark_gone(snapshot, gone)
            log_marks("gone", len(gone))
            snapshot = begin_attribution(store, snapshot)
            explained = _run_stage("explaining", snapshot.unexplained_blocks, store, executor)
        store.clear_staging()
        return summary_of(prepared, snapshot, scored, explained, time.monotonic() - begun)


def _run_stage(
    name: Stage, blocks: Sequence[Block], store: Store, executor: Executor
) -> tuple[BlockResult, ...]:
    """Run blocks in groups on as many threads as the executor has slots."""
    listener = current_listener()
    listener.stage(name, len(blocks), sum(block.spectra for block in blocks))
    commits = BlockCommits(store.ledger, listener)
    # A stage has a bounded number of groups under way, so a failure leaves few blocks to wait for.
    waiting = list(reversed(grouped(blocks, executor.slots)))
    running: list[PrefectFuture[int]] = []
    try:
        while waiting or running:
            while waiting and len(running) < executor.slots:
                running.append(run_group.submit(waiting.pop(), executor, commits))
            done = next(iter(as_completed(running)))
            running.remove(done)
            done.result()
    except BaseException:
        commits.stop()
        raise
    return commits.results()
