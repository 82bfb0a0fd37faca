"""A bounded pool of Ray actors, each with the model in memory, each writing its own shards.

Actors return receipts only, so no spectrum passes through the object store. Ray restarts an actor
that died and runs its call again; where Ray gives up, the pool puts a new actor in its place and
runs the block there. Both are safe because a block writes the same bytes however often it runs.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from engine.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.executors.executor import WorkerRecipe
from engine.worker import BlockWorker
from models.errors import BugError, ConfigurationError, RetryError, WhyspecError
from models.log_events import log_event

_LOG = logging.getLogger(__name__)

ATTEMPTS = 3
"""Actors on which a block is tried before the run is told that it fails."""

CALLS = 2
"""Blocks that an actor has at a time: one is read and written while the other is computed."""

END_SECONDS = 30.0
"""How long the calls under way may take to notice that their actors were ended."""

TASK_RETRIES = 1
"""Times that Ray itself runs a block again on the actor that it restarted."""


class _WorkerActor:
    """Runs in a process of its own; the model is loaded once."""

    def __init__(self, recipe: WorkerRecipe) -> None:
        self._worker: BlockWorker | WhyspecError
        try:
            self._worker = recipe.make()
        except WhyspecError as error:
            # Ray turns what a constructor raises into text; what a call raises it carries whole.
            self._worker = error

    def ready(self) -> int:
        """The process id, once the model is loaded."""
        if isinstance(self._worker, WhyspecError):
            raise self._worker
        return os.getpid()

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """One block, in this process."""
        if isinstance(self._worker, WhyspecError):
            raise self._worker
        return self._worker.run(block)


class _Seat:
    """A place in the pool; the actor on it changes when one dies."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor


class RayPoolExecutor:
    """Runs blocks on ``workers`` actors of a Ray cluster that is already connected.

    Parameters
    ----------
    recipe : what each actor makes its worker from.
    workers : number of actors.
    gpus : GPUs that each actor takes; 0 on clusters without.
    ready_seconds : how long all actors together may take to load the model.
    """

    def __init__(
        self, recipe: WorkerRecipe, workers: int, *, gpus: float = 0, ready_seconds: float = 300.0
    ) -> None:
        self._recipe = recipe
        self._workers = workers
        self._gpus = gpus
        self._ready_seconds = ready_seconds
        self._idle: queue.Queue[_Seat] = queue.Queue()
        self._seats: list[_Seat] = []
        self._ended = False
        self._running = 0
        self._changed = threading.Condition()

    @property
    def workers(self) -> int:
        """Number of actors."""
        return self._workers

    @property
    def slots(self) -> int:
        """Blocks that the actors have at a time."""
        return self._workers * CALLS

    def __enter__(self) -> Self:
        """Start the actors and wait until each has loaded the model.

        Raises
        ------
        ConfigurationError : the cluster does not give the actors what they ask for in time.
        WhyspecError : what went wrong while an actor loaded the model.
        """
        self._seats = [_Seat(self._new_actor()) for _ in range(self._workers)]
        try:
            self._await_ready()
        except BaseException:
            self._end()
            raise
        for seat in self._seats * CALLS:
            self._idle.put(seat)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the actors."""
        self._end()

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """See :class:`engine.executors.executor.Executor`."""
        with self._changed:
            if self._ended or not self._seats:
                raise BugError("An executor was used outside its context.", where="RayPoolExecutor.run")
            self._running += 1
        try:
            return self._run(block)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        for _ in range(ATTEMPTS):
            seat = self._idle.get()
            actor = seat.actor
            try:
                result: BlockResult = ray.get(actor.run.remote(block))
            except RayTaskError as error:
                raise _original(error) from error
            except RayActorError as error:
                if self._ended:
                    raise RetryError("The run was stopped.", where=f"block {block.index}") from error
                log_event(
                    _LOG, logging.WARNING, "worker-replaced",
                    f"The worker of {block.kind} block {block.index} died; another takes its place.",
                    block_kind=block.kind, block=block.index, reason=str(error).partition("\n")[0],
                )  # fmt: skip
                # The actor is gone for good, or cannot be reached: another takes its place.
                self._replace(seat, actor)
                continue
            finally:
                self._idle.put(seat)
            return result
        raise RetryError(
            f"{ATTEMPTS} workers in turn died on the same block.",
            where=f"{block.kind} block {block.index}",
            remedy="If it happens again look for the kernel's out-of-memory killer (dmesg), and lower "
            "WHYSPEC_WORKERS or the occlusion's memory.",
            kind="worker-died",
        )

    def processes(self) -> list[int]:
        """Process ids of the actors."""
        pids: list[int] = ray.get([seat.actor.ready.remote() for seat in self._seats])
        return pids

    def _new_actor(self) -> Any:
        remote = ray.remote(_WorkerActor).options(
            num_cpus=self._recipe.threads,
            num_gpus=self._gpus,
            max_concurrency=CALLS,
            max_restarts=-1,
            max_task_retries=TASK_RETRIES,
        )
        return remote.remote(self._recipe)

    def _replace(self, seat: _Seat, dead: Any) -> None:
        with self._changed:
            if seat.actor is not dead:
                return  # the other call on it was first
            seat.actor = self._new_actor()
        ray.kill(dead)

    def _await_ready(self) -> None:
        begun = time.monotonic()
        try:
            ray.get([seat.actor.ready.remote() for seat in self._seats], timeout=self._ready_seconds)
        except GetTimeoutError as error:
            raise ConfigurationError(
                "The workers did not get ready in time.",
                where="Ray",
                got=f"{self._workers} workers of {self._recipe.threads} CPUs and {self._gpus:g} GPUs each "
                f"after {time.monotonic() - begun:.0f} s; free in the cluster: {_free()}",
                allowed=f"{self._ready_seconds:.0f} s (WHYSPEC_READY_SECONDS)",
                remedy="Ask for fewer workers, free the cluster, or allow more time.",
                kind="workers-not-ready",
            ) from error
        except RayActorError as error:
            raise BugError(
                "A worker died while it loaded the model.",
                where="Ray",
                got=error,
                remedy="If the memory is short ask for fewer workers; otherwise report this text.",
                kind="worker-died",
            ) from error
        except RayTaskError as error:
            raise _original(error) from error

    def _end(self) -> None:
        with self._changed:
            self._ended = True
        for seat in self._seats:
            try:
                ray.kill(seat.actor)
            except RayError:
                break
        # Ray crashes the process when it is shut down while threads wait for its answers.
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0, timeout=END_SECONDS)
        self._seats = []


def _free() -> str:
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    return f"{free.get('CPU', 0):g} CPUs, {free.get('GPU', 0):g} GPUs"


def _original(error: RayTaskError) -> WhyspecError:
    """The error raised inside the actor, as it would have been raised here."""
    cause = error.cause
    if isinstance(cause, WhyspecError):
        return cause
    return BugError(
        "A worker failed in a way that whyspec does not know.",
        where="worker",
        got=f"{type(cause).__name__}: {cause}\n{error.traceback_str}",
        remedy="Report this text.",
        kind="worker-failed",
    )
