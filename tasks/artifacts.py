"""Artifacts of a run on the user's Prefect server: one of its progress per stage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from engine.run.events import BlockDone, BlockFailed, RunEvent, StageBegun, WorkersReady

_LOG = logging.getLogger(__name__)

UPDATE_SECONDS = 5.0
"""Least time between updates: each is a call to the server while a block waits to be kept."""

_T = TypeVar("_T")


class RunArtifacts:
    """An observer that keeps a progress artifact up to date; used within a flow run."""

    def __init__(self) -> None:
        self._artifact: UUID | None = None
        self._stage = ""
        self._total = self._done = self._outliers = self._retries = self._quarantined = 0
        self._updated = 0.0

    def on_event(self, event: RunEvent) -> None:
        """Begin an artifact for a stage, update it as blocks are done."""
        match event:
            case WorkersReady(_, refused):
                self._quarantined += len(refused)
            case StageBegun():
                self._begin(event)
            case BlockDone(result):
                self._done += result.spectra
                self._outliers += len(result.outliers)
                self._quarantined += len(result.unreadable)
                self._update()
            case BlockFailed():
                self._retries += 1
            case _:
                pass

    def _begin(self, event: StageBegun) -> None:
        """A new artifact, in a history of its own by the stage's name."""
        self._stage, self._total, self._done = event.stage, event.spectra, 0
        self._artifact = offered(self._created) if event.spectra else None
        self._updated = time.monotonic()

    def _created(self) -> UUID:
        made = create_progress_artifact(0.0, key=f"whyspec-{self._stage}", description=self._described())
        return cast("UUID", made)  # Prefect's types leave open that it could be asked from a coroutine.

    def _update(self) -> None:
        artifact, now = self._artifact, time.monotonic()
        ended = self._done >= self._total
        if artifact is None or (now - self._updated < UPDATE_SECONDS and not ended):
            return
        self._updated = now
        share = 100.0 * self._done / self._total
        # A server that is gone keeps each call for a minute or more: it is not asked again in this stage.
        updated = offered(lambda: update_progress_artifact(artifact, share, self._described()))
        self._artifact = artifact if updated else None

    def _described(self) -> str:
        return (
            f"{self._stage}: {self._done:,} of {self._total:,} spectra, {self._outliers:,} outliers, "
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
