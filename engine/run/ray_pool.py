"""A bounded pool of Ray actors, each with the models in memory, each writing its own shards.

Actors return receipts only, so no spectrum passes through the object store. When an actor dies its
block is run on another, which is safe because a block writes the same bytes however often it runs. A
new actor is asked for in its place and joins when the cluster has room for it. Ray does not restart
actors itself: it would keep the block until then, for ever if a node is lost for good.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from engine.run.executor import Worker, WorkerRecipe
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import BugError, ConfigurationError, ErrorKind, RetryError, WhyspecError
from models.log_events import log_event

_LOG = logging.getLogger(__name__)

ATTEMPTS = 3
"""Actors on which a block is tried before it counts as failed."""

CALLS = 2
"""Blocks that an actor has at a time: one is read and written while the other is computed."""

END_SECONDS = 30.0
"""How long the calls under way may take to notice that their actors were ended."""

LOOK_SECONDS = 0.2
"""How often a block that waits for an actor looks whether a new one has joined."""


class _WorkerActor:
    """Runs in a process of its own; the models are loaded once."""

    def __init__(self, recipe: WorkerRecipe, begin_process: Callable[[], None]) -> None:
        begin_process()
        self._worker: Worker | WhyspecError
        try:
            self._worker = recipe.make()
        except WhyspecError as error:
            # Ray turns what a constructor raises into text; what a call raises it carries whole.
            self._worker = error

    def ready(self) -> int:
        """The process id, once the models are loaded."""
        if isinstance(self._worker, WhyspecError):
            raise self._worker
        return os.getpid()

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """One block, in this process."""
        if isinstance(self._worker, WhyspecError):
            raise self._worker
        return self._worker.run(block)


class RayPoolExecutor:
    """Runs blocks on ``workers`` actors of a Ray cluster that is already connected.

    Parameters
    ----------
    recipe : what each actor makes its worker from.
    workers : number of actors.
    gpus : GPUs that each actor takes; 0 on clusters without.
    ready_seconds : how long all actors together may take to load the models, and how long a block
        waits when all have died.
    begin_process : what the process of an actor calls first, e.g. to set up its log.
    """

    def __init__(
        self,
        recipe: WorkerRecipe,
        workers: int,
        *,
        gpus: float = 0,
        ready_seconds: float = 300.0,
        begin_process: Callable[[], None] = lambda: None,
    ) -> None:
        self._recipe = recipe
        self._workers = workers
        self._gpus = gpus
        self._ready_seconds = ready_seconds
        self._begin_process = begin_process
        self._idle: queue.Queue[Any] = queue.Queue()
        self._all: list[Any] = []
        self._loading: dict[Any, Any] = {}
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
        """Start the actors and wait until each has loaded the models.

        Raises
        ------
        ConfigurationError : the cluster does not give the actors what they ask for in time.
        WhyspecError : what went wrong while an actor loaded the models.
        """
        self._all = [self._new_actor() for _ in range(self._workers)]
        try:
            self._await_ready()
        except BaseException:
            self._end()
            raise
        for actor in self._all:
            self._offer(actor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the actors."""
        self._end()

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """See :class:`engine.run.executor.Executor`."""
        with self._changed:
            if self._ended or not self._all:
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
            actor = self._take()
            try:
                result: BlockResult = ray.get(actor.run.remote(block))
            except RayTaskError as error:
                raise _original(error) from error
            except RayActorError as error:
                if self._ended:
                    raise _stopped() from error
                log_event(
                    _LOG, logging.WARNING, "worker-replaced",
                    f"The worker of {block.kind} block {block.index} died; another takes its place.",
                    block_kind=block.kind, block=block.index, reason=str(error).partition("\n")[0],
                )  # fmt: skip
                self._replace(actor)
                continue
            finally:
                if actor in self._all:
                    self._idle.put(actor)
            return result
        raise RetryError(
            f"{ATTEMPTS} workers in turn died on the same block.",
            where=f"{block.kind} block {block.index}",
            remedy="If it happens again look for the kernel's out-of-memory killer (dmesg), and lower "
            "WHYSPEC_WORKERS or WHYSPEC_ATTRIBUTION_MEMORY.",
            kind=ErrorKind.WORKER_DIED,
        )

    def _take(self) -> Any:
        """An actor that is ready.

        Raises
        ------
        RetryError : all died, and no new one got ready in time; or the run was stopped.
        """
        alive = time.monotonic()
        while True:
            with self._changed:
                if self._ended:
                    raise _stopped()
                self._let_join()
                if len(self._loading) < self._workers:
                    alive = time.monotonic()
            try:
                actor = self._idle.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if time.monotonic() - alive > self._ready_seconds:
                    raise RetryError(
                        "All workers died, and the cluster gave no new ones in time.",
                        where="Ray",
                        got=f"free in the cluster: {_free()}",
                        allowed=f"{self._ready_seconds:.0f} s (WHYSPEC_READY_SECONDS)",
                        remedy="Bring nodes back, or find out why they die, then continue the run.",
                        kind=ErrorKind.NO_WORKERS,
                    ) from None
            else:
                if actor in self._all:  # or else it died of its other block
                    return actor

    def _new_actor(self) -> Any:
        remote = ray.remote(_WorkerActor).options(
            num_cpus=self._recipe.threads,
            num_gpus=self._gpus,
            max_concurrency=CALLS,
            max_restarts=0,
            max_task_retries=0,
        )
        return remote.remote(self._recipe, self._begin_process)

    def _replace(self, dead: Any) -> None:
        """Ask for a new actor; the dead one may only be out of reach, so it is ended for certain."""
        with self._changed:
            if dead not in self._all:
                return  # the other call on it was first
            fresh = self._new_actor()
            self._all[self._all.index(dead)] = fresh
            self._loading[fresh.ready.remote()] = fresh
        ray.kill(dead)

    def _let_join(self) -> None:
        """Let new actors that have loaded the models join; ask again for those that died of it."""
        if not self._loading:
            return
        ready, _ = ray.wait([*self._loading], num_returns=len(self._loading), timeout=0)
        for reference in ready:
            actor = self._loading.pop(reference)
            try:
                ray.get(reference)
            except RayActorError:
                self._replace(actor)
            except RayTaskError as error:
                raise _original(error) from error
            else:
                self._offer(actor)

    def _offer(self, actor: Any) -> None:
        """Let an actor take as many blocks at a time as it may."""
        for _ in range(CALLS):
            self._idle.put(actor)

    def _await_ready(self) -> None:
        begun = time.monotonic()
        waiting, died = [*self._all], 0
        while waiting:
            actor = waiting.pop()
            left = begun + self._ready_seconds - time.monotonic()
            try:
                ray.get(actor.ready.remote(), timeout=max(0.0, left))
            except GetTimeoutError as error:
                raise ConfigurationError(
                    "The workers did not get ready in time.",
                    where="Ray",
                    got=f"{self._workers} workers of {self._recipe.threads} CPUs and {self._gpus:g} GPUs "
                    f"each after {time.monotonic() - begun:.0f} s; free in the cluster: {_free()}",
                    allowed=f"{self._ready_seconds:.0f} s (WHYSPEC_READY_SECONDS)",
                    remedy="Ask for fewer workers, free the cluster, or allow more time.",
                    kind=ErrorKind.WORKERS_NOT_READY,
                ) from error
            except RayActorError as error:
                died += 1
                if died == ATTEMPTS:
                    raise RetryError(
                        f"{ATTEMPTS} workers in turn died while they loaded the models.",
                        where="Ray",
                        got=error,
                        remedy="If the memory is short ask for fewer workers; if a node was lost run again.",
                        kind=ErrorKind.WORKER_DIED,
                    ) from error
                fresh = self._new_actor()
                self._all[self._all.index(actor)] = fresh
                waiting.append(fresh)
            except RayTaskError as error:
                raise _original(error) from error

    def _end(self) -> None:
        with self._changed:
            self._ended = True
        for actor in self._all:
            try:
                ray.kill(actor)
            except RayError:
                break
        # Ray crashes the process when it is shut down while threads wait for its answers.
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0, timeout=END_SECONDS)
        self._all = []
        self._loading = {}


def _stopped() -> RetryError:
    return RetryError("The run was stopped.", where="Ray")


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
        kind=ErrorKind.WORKER_FAILED,
    )
