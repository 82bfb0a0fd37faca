"""The plan of a run: what a release holds that the store does not, as immutable blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from engine.spectra.source_file import FILE_LIST, RefusedFile, ReleaseListing, SourceFile
from engine.store.blocks import ScoreBlock
from engine.store.configuration import RunConfiguration
from engine.store.explanation_set import ExplanationSet
from engine.store.file_versions import FileVersion, rows_of_vanished, rows_to_mark
from engine.store.ledger import Ledger
from engine.store.saved_plans import AttributionPlan, ScorePlan
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from models.digests import canonical_json, digest_of
from models.errors import ConfigurationError, ErrorKind, InputError
from models.secrets import redacted_url

FileState = Literal["new", "changed", "retry", "unfinished", "unchanged", "gone", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of the release or of the store, and how the two compare.

    ``identity`` is that of its spectra, empty for a file that was refused. ``state`` is one of: new; changed
    (other fingerprint than in the store); retry (it could not be read before); unfinished (its blocks are of
    an earlier run that did not end); unchanged; gone (in the store, no longer in the release: its rows stay);
    refused (quarantined when listed).
    """

    url: str
    state: FileState
    spectra: int
    identity: str = ""


@dataclass(frozen=True)
class Plan:
    """What a run will do. The same release and store give the same plan.

    Attributes
    ----------
    files : every file with its state, in the order of the listing, then those that are gone; those
        skipped are in ``skipped`` alone.
    addition : new rows, to be saved in the ledger before work starts; ``None`` if there are none.
    blocks : blocks still to do: those of earlier runs that did not end first, then the addition's.
    superseded : number of rows that the run's new rows will replace.
    score_blocks : blocks that the store must have room for.
    refused, skipped : files that the listing refused, and that it skipped.
    """

    files: tuple[PlannedFile, ...]
    addition: ScorePlan | None
    blocks: tuple[ScoreBlock, ...]
    superseded: int
    score_blocks: int
    refused: tuple[RefusedFile, ...]
    skipped: tuple[RefusedFile, ...]
    configuration_digest: str

    @property
    def spectra(self) -> int:
        """Number of spectra in the blocks to do."""
        return sum(block.spectra for block in self.blocks)

    @cached_property
    def counts(self) -> dict[FileState, int]:
        """Number of files by state, every state named."""
        counts = Counter(file.state for file in self.files)
        counts["skipped"] = len(self.skipped)
        return {state: counts[state] for state in get_args(FileState)}

    @cached_property
    def digest(self) -> str:
        """Hex digest of what is to be done with which configuration."""
        return digest_of(
            canonical_json(
                {
                    "configuration": self.configuration_digest,
                    "addition": self.addition.digest if self.addition else "",
                    "blocks": [[block.plan, block.index] for block in self.blocks],
                    "superseded": self.superseded,
                    "refused": sorted([file.url, file.kind] for file in self.refused),
                }
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready summary; files that are unchanged are counted, not listed."""
        return {
            "digest": self.digest,
            "configuration_digest": self.configuration_digest,
            "files": dict(self.counts),
            "blocks": len(self.blocks),
            "spectra": self.spectra,
            "superseded": self.superseded,
            "changes": [
                # An earlier version's store may hold URLs with secrets, of files that are gone now.
                {"url": redacted_url(file.url), "state": file.state, "spectra": file.spectra}
                for file in self.files
                if file.state != "unchanged"
            ],
            "refused": [asdict(file) for file in self.refused],
            "skipped": [asdict(file) for file in self.skipped],
        }


def make_plan(listing: ReleaseListing, snapshot: Snapshot, configuration: RunConfiguration) -> Plan:
    """Compare a release with a store's ledger (empty where there is no store) and plan what is missing.

    Blocks of earlier plans that were not finished keep their place and content. Spectra of files
    that are new, have changed or could not be read before fill the blocks after the last planned
    one, in the order of the listing. Nothing is written; see :func:`begin`.

    Raises
    ------
    ConfigurationError : the release's grid is not the configuration's.
    InputError : a file is listed twice.
    """
    _check_grid(listing, configuration)
    files, wanted = _compare(listing, snapshot)
    stop = snapshot.score_stop
    addition = None
    if wanted:
        addition = ScorePlan(
            root=listing.root,
            layout=listing.layout,
            first_block=stop,
            capacity=configuration.block_rows,
            files=tuple(wanted),
            refused=listing.refused,
            number=len(snapshot.plans),
        )
        stop = addition.stop_block
    added = addition.blocks if addition else ()
    return Plan(
        files=tuple(files),
        addition=addition,
        blocks=snapshot.unscored_blocks + added,
        superseded=_count_superseded(snapshot, wanted),
        score_blocks=stop,
        refused=listing.refused,
        skipped=listing.skipped,
        configuration_digest=configuration.digest,
    )


def begin(store: Store, plan: Plan, snapshot: Snapshot) -> Snapshot:
    """Save what a plan adds and make room for it; for the coordinator, before work starts.

    From here on the blocks are fixed: a run that is killed is continued by :func:`make_plan`.

    Returns
    -------
    The snapshot of which the plan was made, with what it adds.

    Raises
    ------
    ConfigurationError : another run started on the store in the meantime.
    """
    if plan.addition is not None:
        snapshot = _save_plan(store.ledger, plan.addition, snapshot)
    store.grow(plan.score_blocks, 0)
    return snapshot


def gone_rows(snapshot: Snapshot, plan: Plan, listing: ReleaseListing) -> NDArray[np.int64]:
    """Committed rows, ascending, of files that have vanished from their release, superseded ones left out.

    Of files that neither the plan calls gone nor the listing has, what the store says stays true.

    For :meth:`engine.store.store.Store.mark_gone` once the blocks of a run are committed.
    """
    versions = snapshot.versions
    refused = {file.url for file in listing.refused}
    listed = {name for file in listing.files for name in (file.identity, file.fingerprint)}
    gone = {file.identity for file in plan.files if file.state == "gone"}
    there = {
        identity
        for identity, each in versions.items()
        if listed & {identity, each[-1].fingerprint} or each[-1].file.url in refused
    } - gone
    return rows_of_vanished(versions, gone, there, snapshot.flagged["gone"])


def gone_changes(snapshot: Snapshot, plan: Plan, listing: ReleaseListing) -> int:
    """Number of committed rows that a run would flag as gone, or take that flag from."""
    return snapshot.flag_changes("gone", gone_rows(snapshot, plan, listing))


def to_explain(store: Store, snapshot: Snapshot, top: int | None) -> NDArray[np.int64]:
    """Rows of outliers, ascending, that have no explanation and are to get one.

    Parameters
    ----------
    top : so many of the store's oddest outliers are to have one; None for all.

    Raises
    ------
    StoreError : the scores cannot be read.
    """
    waiting = snapshot.waiting_outliers
    if top is None or not len(waiting):
        return waiting
    return np.intersect1d(waiting, store.oddest(snapshot.current_outliers, top))


def begin_attribution(store: Store, snapshot: Snapshot, top: int | None = None) -> Snapshot:
    """Assign the outliers to explain that no saved plan has to attribution blocks; for the coordinator.

    They fill new blocks after the last planned one, ascending and without superseded ones. The assignment
    is saved in the ledger, and room is made for it, before this returns: after a kill the same blocks
    come back. ``top`` is that of :func:`to_explain`.

    Returns
    -------
    The snapshot with the assignment; its ``unexplained_blocks`` are to be run.

    Raises
    ------
    ConfigurationError : another run started on the store in the meantime.
    """
    wanted = to_explain(store, snapshot, top)
    rows = tuple(np.intersect1d(snapshot.unplanned_outliers, wanted).tolist())
    if rows:
        capacity = store.configuration.outlier_block_rows
        addition = AttributionPlan(snapshot.attribution_stop, capacity, rows)
        snapshot = _save_plan(store.ledger, addition, snapshot)
    store.grow(0, snapshot.attribution_stop)
    return snapshot


def begin_set(
    own: ExplanationSet, snapshot: Snapshot, rows: NDArray[np.int64], selection: str = ""
) -> Snapshot:
    """Assign outliers to the blocks of a set of explanations, as :func:`begin_attribution` does to the run's.

    Parameters
    ----------
    snapshot : of the set's ledger.
    rows : rows of outliers, ascending, that no plan of the set has; there may be none.
    selection : how they were chosen, for people.
    """
    if len(rows):
        capacity = own.configuration.outlier_block_rows
        addition = AttributionPlan(snapshot.attribution_stop, capacity, tuple(rows.tolist()), selection)
        snapshot = _save_plan(own.ledger, addition, snapshot)
    own.grow(snapshot.attribution_stop)
    return snapshot


def choose_block_rows(spectra: int) -> int:
    """Spectra per score block for a release of that size: about a 64th of it, 256 to 16384.

    A power of two. Many blocks per worker, so that none waits long for the last; a full release (28
    million spectra in DESI DR1) makes about 1,700 blocks.
    """
    return _power_of_two(spectra / 64, 256, 16384)


def choose_outlier_block_rows(spectra: int, threshold: float) -> int:
    """Explanations per attribution block: about a 64th of the expected outliers, 8 to 256."""
    return _power_of_two(spectra * threshold / 64, 8, 256)


def _power_of_two(wanted: float, least: int, most: int) -> int:
    power = least
    while power < min(wanted, most):
        power *= 2
    return power


def _compare(listing: ReleaseListing, snapshot: Snapshot) -> tuple[list[PlannedFile], list[SourceFile]]:
    """State of every file, and the files that need rows."""
    plans, versions = snapshot.plans, snapshot.versions
    listed = Counter(file.identity for file in listing.files)
    for identity, count in listed.items():
        if count > 1:
            raise InputError(
                "A file is listed more than once: its spectra would be stored twice.",
                where=identity,
                got=f"{count} times",
                allowed="once",
                remedy="Name every file or directory of the release once.",
                kind=ErrorKind.LISTED_TWICE,
            )
    refused_before = {file.url for plan in plans for file in plan.refused}
    # A release that was moved keeps its rows: its files are known again by their content.
    moved = {each[-1].fingerprint: each[-1] for name, each in versions.items() if name not in listed}
    known: set[str] = set()
    files: list[PlannedFile] = []
    wanted: list[SourceFile] = []
    for file in listing.files:
        same = versions.get(file.identity)
        latest = same[-1] if same else moved.get(file.fingerprint)
        if latest is None:
            state: FileState = "retry" if file.url in refused_before else "new"
        else:
            known.add(latest.file.identity)
            state = _state(file, latest)
        files.append(PlannedFile(file.url, state, file.spectra, file.identity))
        if state in ("new", "changed", "retry"):
            wanted.append(file)
    files += [PlannedFile(file.url, "refused", 0) for file in listing.refused]
    refused = {file.url for file in listing.refused}
    files += [
        PlannedFile(file.url, "gone", file.spectra, file.identity)
        for file in _once_listed(listing, plans)
        if file.identity not in known and file.url not in refused
    ]
    return files, wanted


def _once_listed(listing: ReleaseListing, plans: tuple[ScorePlan, ...]) -> Iterable[SourceFile]:
    """The files that earlier listings of the same place by the same layout had, each as it was last.

    None for files given one by one: what else lies beside them they do not say.
    """
    if listing.layout == FILE_LIST:
        return ()
    same = (plan for plan in plans if (plan.root, plan.layout) == (listing.root, listing.layout))
    return {file.identity: file for plan in same for file in plan.files}.values()


def _state(file: SourceFile, latest: FileVersion) -> FileState:
    if file.fingerprint != latest.fingerprint:
        return "changed"
    states: dict[str, FileState] = {
        "unfinished": "unfinished",
        "unreadable": "retry",
        "readable": "unchanged",
    }
    return states[latest.state]


def _count_superseded(snapshot: Snapshot, wanted: Sequence[SourceFile]) -> int:
    """Rows that will be replaced if every file can be read."""
    after = {name: [_read(version) for version in each] for name, each in snapshot.versions.items()}
    for file in wanted:
        after.setdefault(file.identity, []).append(FileVersion(file, 0, 0, "readable"))
    return len(rows_to_mark(after, snapshot.flagged["superseded"]))


def _read(version: FileVersion) -> FileVersion:
    return replace(version, state="readable") if version.state == "unfinished" else version


def _save_plan(ledger: Ledger, addition: ScorePlan | AttributionPlan, snapshot: Snapshot) -> Snapshot:
    """Save a plan, or withdraw it if another run planned the same blocks at the same time."""
    ledger.save_plan(addition)
    known: list[ScorePlan | AttributionPlan] = [*snapshot.plans, *snapshot.attribution_plans]
    others = [*known, *ledger.plans_besides([*known, addition])]
    if any(
        type(plan) is type(addition)
        and plan.digest != addition.digest
        and plan.first_block < addition.stop_block
        and addition.first_block < plan.stop_block
        for plan in others
    ):
        ledger.withdraw_plan(addition)
        raise ConfigurationError(
            "Another run started on this store at the same time.",
            where=ledger.url,
            got=f"blocks {addition.first_block} to {addition.stop_block - 1} are planned twice",
            allowed="one run at a time on a store",
            remedy="Wait for the other run to end, then run again.",
            kind=ErrorKind.CONCURRENT_RUN,
        )
    return snapshot.with_plan(addition)


def _check_grid(listing: ReleaseListing, configuration: RunConfiguration) -> None:
    if listing.grid != configuration.grid:
        raise ConfigurationError(
            "The release is on another wavelength grid than the model and the store.",
            where=listing.root,
            got=listing.grid.to_dict(),
            allowed=configuration.grid.to_dict(),
            remedy="Choose the model of that instrument and a --store of its own: one store, one grid.",
            kind=ErrorKind.OTHER_GRID,
        )
