"""The seam between a run and the processes that do its work."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock


class Worker(Protocol):
    """Runs blocks in its process, see :class:`engine.run.worker.BlockWorker`."""

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """Compute a block, write its shards, return its receipt."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerRecipe:
    """What a process needs to make its own worker: small, so it can be sent anywhere.

    Attributes
    ----------
    models : name or directory of each scoring model, in the order of the store's configuration; a
        directory must exist wherever a worker runs.
    store : URL of the store, whose configuration the worker follows.
    threads : torch threads of each worker.
    attribution_memory : bytes that the attribution of one spectrum may take; 0 for what suits the device.
    explanations : name of the set of explanations that the worker adds to; empty for one that scores and
        explains as the store's runs do.
    """

    models: tuple[str, ...]
    store: str
    threads: int = 1
    attribution_memory: int = 0
    explanations: str = ""

    def make(self) -> Worker:
        """The worker, on a GPU if this process sees one.

        Raises
        ------
        ConfigurationError : a model found here is not the one the store was made with.
        """
        # Imported here: torch takes more than a second, which who only hands recipes on need not pay.
        import torch

        from engine.run.attribution_worker import AttributionWorker
        from engine.run.worker import BlockWorker
        from engine.store.explanation_set import open_set
        from engine.store.store import Store
        from models.weights import load_model

        store = Store.open(self.store)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        models = [load_model(name) for name in self.models]
        given = (device, self.threads, self.attribution_memory)
        if self.explanations:
            own = open_set(store, self.explanations)
            return AttributionWorker(models, own, own.configuration, *given)
        return BlockWorker(models, store, store.configuration, *given)


class Executor(Protocol):
    """Runs blocks. ``run`` may be called from as many threads as there are ``slots``."""

    @property
    def workers(self) -> int:
        """Processes that compute."""
        ...

    @property
    def slots(self) -> int:
        """Blocks that can run at the same time."""
        ...

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """Compute a block, write its shards, return its receipt; safe to repeat.

        Raises
        ------
        RetryError : the block may succeed when run again.
        WhyspecError : it will not.
        """
        ...

    def __enter__(self) -> Self:
        """Get ready to run blocks."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the blocks under way, and give back what the executor took."""
        ...
