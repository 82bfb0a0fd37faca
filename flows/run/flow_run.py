"""A run as a flow run of the user's Prefect server: groups of blocks are tasks, progress is an artifact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.run.execution import ReadyRun, work_on_executor
from flows.run.publication import publish
from flows.run.request import RunRequest, RunSummary
from tasks.artifacts import RunArtifacts
from tasks.block_groups import submit_group

THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=1024)
"""Threads are made when they are needed, as many as the executor has slots."""


def in_flow(run: ReadyRun) -> RunSummary:
    """Carry out a run that a command has prepared, as a flow run of its own."""

    @flow(name="process", task_runner=THREADS, persist_result=False)  # type: ignore[arg-type]  # invariant
    def process(request: RunRequest) -> RunSummary:  # noqa: ARG001 - what the server shows
        summary = in_tasks(run)
        publish(run.name, summary)
        return summary

    return process(run.prepared.request)


def in_tasks(run: ReadyRun) -> RunSummary:
    """Carry out a run within a flow run."""
    return work_on_executor(replace(run, observers=(*run.observers, RunArtifacts())), submit_group)
