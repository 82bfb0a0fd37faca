"""How far a run is, on the user's Prefect server: one progress artifact per stage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import WhyspecError
from tasks.run_listener import SilentListener, Stage

_LOG = logging.getLogger(__name__)

UPDATE_SECONDS = 5.0
"""Least time between updates: each is a call to the server while a block waits to be committed."""

_T = TypeVar("_T")


class RunArtifacts(SilentListener):
    """Keeps a progress artifact up to date; used within a flow run."""

    def __init__(self) -> None:
        self._artifact: UUID | None = None
        self._name = ""
        self._total = self._done = self._outliers = self._retries = self._quarantined = 0
        self._updated = 0.0

    def stage(self, name: Stage, blocks: int, spectra: int) -> None:  # noqa: ARG002
        """A new artifact, in a history of its own by the stage's name."""
        self._name, self._total, self._done = name, spectra, 0
        self._artifact = None
        if spectra:
            self._artifact = offered(lambda: self._created(f"whyspec-{name}"))
        self._updated = time.monotonic()

    def finished(self, result: BlockResult) -> None:
        """Progress in spectra."""
        self._done += result.spectra
        self._outliers += len(result.outliers)
        self._quarantined += len(result.unreadable)
        self._update()

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:  # noqa: ARG002
        """Count it."""
        self._retries += 1

    def _created(self, key: str) -> UUID:
        # Prefect's types leave open that it could be asked from a coroutine.
        return cast("UUID", create_progress_artifact(0.0, key=key, description=self._described()))

    def _update(self) -> None:
        artifact, now = self._artifact, time.monotonic()
        ended = self._done >= self._total
        if artifact is None or (now - self._updated < UPDATE_SECONDS and not ended):
            return
        self._updated = now
        share = 100.0 * self._done / self._total
        offered(lambda: update_progress_artifact(artifact, share, self._described()))

    def _described(self) -> str:
        return (
            f"{self._name}: {self._done:,} of {self._total:,} spectra, {self._outliers:,} outliers, "
            f"{self._retries} retries, {self._quarantined} files quarantined"
        )


def offered(make: Callable[[], _T]) -> _T | None:
    """What ``make`` makes on the server; None, and a warning, where the server does not take it.

    The run's work is in the store and needs no artifact.
    """
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whatever the client raises, the run goes on
        _LOG.warning("The Prefect server did not take an artifact: %s: %s", type(error).__name__, error)
        return None
