"""Attribution worker: explains the outliers of a block with the models of a store, wherever it runs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch

from engine.attribution.cautions import counted
from engine.attribution.explainer import Explainer
from engine.attribution.explanation import Explanations
from engine.attribution.other_models import OtherModels
from engine.run.block_log import run_logged
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock, WrittenObject
from engine.store.configuration import RunConfiguration
from models.errors import BugError, ConfigurationError, ErrorKind, RetryError
from models.row_status import RowStatus
from models.spectrum_model import SpectrumModel


class ExplanationPlace(Protocol):
    """Where a block's spectra come from, and its explanations go: a store, or a set of explanations in it."""

    @property
    def url(self) -> str:
        """Where it is."""
        ...

    def unexplained(self, rows: tuple[int, ...]) -> Explanations:
        """The spectra of these rows, in their order, to be explained."""
        ...

    def write_explanations(
        self, block: AttributionBlock, explanations: Explanations
    ) -> tuple[WrittenObject, ...]:
        """Write an attribution block."""
        ...


class AttributionWorker:
    """Runs attribution blocks with the models of a store on one device.

    Parameters
    ----------
    models : the scoring models that ``configuration`` names, in its order.
    place : this process writes whole shards of it and nothing else.
    configuration : of the place.
    device, threads, memory : see :class:`engine.run.worker.BlockWorker`.

    Raises
    ------
    ConfigurationError : a model is not the one that the store was made with.
    """

    def __init__(
        self,
        models: Sequence[SpectrumModel],
        place: ExplanationPlace,
        configuration: RunConfiguration,
        device: str = "cpu",
        threads: int = 1,
        memory: int = 0,
    ) -> None:
        check_models(models, configuration)
        torch.set_num_threads(threads)
        there = [model.to(device) for model in models]
        others = OtherModels(there)
        self._explainers = [
            Explainer(model, configuration.attribution, device, memory, others) for model in there
        ]
        self._place = place
        self.computing = threading.Lock()

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """Explain a block's spectra, write its shards and say what was written.

        Raises
        ------
        RetryError : the store did not answer; running the block again may help.
        """
        return run_logged(block, self._run)

    def _run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        if not isinstance(block, AttributionBlock):
            raise BugError("A worker that explains got spectra to score.", where=f"score block {block.index}")
        with system_errors(block, self._place.url):
            return self.explain(block)

    def explain(self, block: AttributionBlock) -> BlockResult:
        """:meth:`run` without log, and with the errors of the system as they are."""
        explanations = self._place.unexplained(block.rows)
        with self.computing:
            for number, explainer in enumerate(self._explainers):
                explainer.fill(explanations, np.flatnonzero(explanations.model == number).tolist())
        unexplained = int(np.isnan(explanations.explained_score).sum())
        statuses = Counter(
            {
                RowStatus.SCORED.label: len(explanations) - unexplained,
                RowStatus.NON_FINITE_SCORE.label: unexplained,
            }
        )
        return BlockResult(
            kind=block.kind,
            index=block.index,
            plan=block.plan,
            spectra=len(explanations),
            status_counts=tuple(sorted((+statuses).items())),
            outliers=(),
            unreadable=(),
            objects=self._place.write_explanations(block, explanations),
            caution_counts=counted(explanations.cautions),
        )


def check_models(models: Sequence[SpectrumModel], configuration: RunConfiguration) -> None:
    """Refuse models that are not those of the configuration, in its order.

    Raises
    ------
    ConfigurationError : one is not.
    """
    for model, reference in zip(models, configuration.models, strict=True):
        if model.card.digest != reference.digest:
            raise ConfigurationError(
                "The model here is not the model that the run was planned with.",
                where=f"model {reference.name}",
                got=model.card.digest,
                allowed=reference.digest,
                remedy="Make the same model available to every worker, then continue the run.",
                kind=ErrorKind.MODEL_DIGEST,
            )


@contextmanager
def system_errors(block: ScoreBlock | AttributionBlock, url: str) -> Iterator[None]:
    """Within it, what the system refuses is an error that may pass.

    Raises
    ------
    RetryError : the system refused to read or write.
    """
    try:
        yield
    except OSError as error:
        raise RetryError(
            "A worker's system refused to read or write.",
            where=f"{block.kind} block {block.index} of {url}",
            got=f"{type(error).__name__}: {error}",
            remedy="Check space, permission and network of the store's disk, then continue the run.",
            kind=ErrorKind.WORKER_SYSTEM,
        ) from error
