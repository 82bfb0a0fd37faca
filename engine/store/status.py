"""Status of a store: its contents and who writes to it, from its ledger and its lock alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from engine.store.blocks import ClassCount
from engine.store.configuration import RunConfiguration
from engine.store.entries import ExplanationSetEntry
from engine.store.ledger import Ledger
from engine.store.lock_holder import Life, LockHolder
from engine.store.objects import ObjectTree
from engine.store.root import read_configuration
from engine.store.routing import ModelReference, summed
from engine.store.run_lock import TIMING, LockTiming, found_lock
from engine.store.run_state import RunState
from engine.store.set_entries import set_folder
from engine.store.snapshot import Snapshot
from models.row_status import RowStatus


@dataclass(frozen=True, slots=True)
class RunningCommand:
    """A command that holds a store's lock.

    Attributes
    ----------
    holder : who, where, since when; ``None`` where its lock is damaged.
    life : ``"alive"``: its process is there, or its lock was renewed while it was watched; ``"gone"``:
        its process is not there any more; ``"unknown"``: it is on another machine, and its lock was not
        renewed while it was watched.
    state : how far it was when it last renewed its lock.
    """

    holder: LockHolder | None
    life: Life
    state: RunState


@dataclass(frozen=True, slots=True)
class SetStatus:
    """A set of explanations beside the run's own.

    Attributes
    ----------
    name, method : of the set; explained : explanations in it.
    blocks, blocks_planned : finished, and in a saved plan.
    """

    name: str
    method: str
    explained: int
    blocks: int
    blocks_planned: int


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """A store's contents by its ledger, superseded rows included.

    Attributes
    ----------
    url : the store; running : who holds it, ``None`` if nobody.
    files : source files with rows; spectra : rows; scored : of these, those with a score; outliers : of
        these, those at or below the threshold; explained : outliers with an explanation.
    models : of the store; classes : counts of the spectra of each class.
    superseded, gone : rows that newer rows replace; rows of files that have vanished.
    score_blocks, score_blocks_planned, attribution_blocks, attribution_blocks_planned : finished, and
        in a saved plan.
    waiting_outliers : outliers without an explanation, those that no attribution plan has included.
    sets : its sets of explanations beside the run's own.
    last_change : when the newest entry of the ledger was written, UTC, ISO 8601, by the clock of what
        keeps the objects; empty if there is none.
    """

    url: str
    running: RunningCommand | None
    files: int
    spectra: int
    scored: int
    outliers: int
    explained: int
    models: tuple[ModelReference, ...]
    classes: tuple[ClassCount, ...]
    superseded: int
    gone: int
    score_blocks: int
    score_blocks_planned: int
    attribution_blocks: int
    attribution_blocks_planned: int
    waiting_outliers: int
    sets: tuple[SetStatus, ...]
    last_change: str

    @property
    def is_complete(self) -> bool:
        """Whether a run planned blocks, all of them are done, and nobody works on the store or died at it."""
        return (
            self.running is None
            and 0 < self.score_blocks_planned <= self.score_blocks
            and self.attribution_blocks >= self.attribution_blocks_planned
            and not self.waiting_outliers
            and all(each.blocks >= each.blocks_planned for each in self.sets)
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        body = {**asdict(self), "complete": self.is_complete}
        if self.running is not None:
            body["running"]["state"]["seconds_left"] = self.running.state.seconds_left
        return body


def status_of(url: str, timing: LockTiming = TIMING) -> StoreStatus:
    """The status of a store.

    If a process of another machine holds it, its lock is watched for a renewal: for at most one and a half
    heartbeats.

    Raises
    ------
    InputError : there is no store.
    StoreError : its schema has another version, or its root or ledger is damaged.
    """
    objects = ObjectTree(url)
    configuration = read_configuration(objects)
    ledger = Ledger(objects, configuration)
    snapshot, sets = Snapshot.read(ledger), ledger.explanation_sets().values()
    score, attribution = snapshot.scored.values(), snapshot.explained.values()
    return StoreStatus(
        url=url,
        running=_running(objects, timing),
        files=len(snapshot.files),
        spectra=snapshot.spectra,
        scored=sum(dict(result.status_counts).get(RowStatus.SCORED.label, 0) for result in score),
        outliers=snapshot.outliers,
        explained=sum(result.spectra for result in attribution),
        models=configuration.models,
        classes=summed(count for result in score for count in result.classes),
        superseded=len(snapshot.rows_flagged("superseded")),
        gone=len(snapshot.rows_flagged("gone")),
        score_blocks=len(score),
        score_blocks_planned=sum(len(plan.block_indices) for plan in snapshot.plans),
        attribution_blocks=len(attribution),
        attribution_blocks_planned=sum(len(plan.block_indices) for plan in snapshot.attribution_plans),
        waiting_outliers=len(snapshot.waiting_outliers),
        sets=tuple(_set_status(objects, configuration, entry) for entry in sets),
        last_change=_written(objects, [entry.name for entry in sets]),
    )


def _set_status(
    objects: ObjectTree, configuration: RunConfiguration, entry: ExplanationSetEntry
) -> SetStatus:
    own = Ledger(objects.below(set_folder(entry.name)), entry.configuration_in(configuration))
    snapshot = Snapshot.read(own)
    return SetStatus(
        entry.name,
        entry.method,
        sum(result.spectra for result in snapshot.explained.values()),
        len(snapshot.explained),
        sum(len(plan.block_indices) for plan in snapshot.attribution_plans),
    )


def _running(objects: ObjectTree, timing: LockTiming) -> RunningCommand | None:
    found = found_lock(objects)
    if found is None:
        return None
    if found.is_here or found.is_gone:
        life: Life = "alive" if found.is_here else "gone"
    else:
        life, watched, deadline = "unknown", found.data, time.monotonic() + 1.5 * timing.beat
        while life == "unknown" and time.monotonic() < deadline:
            time.sleep(timing.beat / 10)
            found = found_lock(objects)
            if found is None:
                return None
            life = "alive" if found.data != watched else "unknown"
    record = found.record
    return (
        RunningCommand(record.holder, life, record.state)
        if record
        else RunningCommand(None, life, RunState())
    )


_FOLDERS = ("plans", "score", "attribution", "superseded", "gone", "clusters", "explanations")


def _written(objects: ObjectTree, sets: Sequence[str]) -> str:
    folders = [f"ledger/{folder}" for folder in _FOLDERS]
    folders += [f"{set_folder(name)}/ledger/{folder}" for name in sets for folder in ("plans", "attribution")]
    known = [each for each in map(objects.newest, folders) if each is not None]
    return max(known).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if known else ""
